"""An endpoint whose engine is a small process, deployed exactly as a real one is.

The launch plan is that of a real spec, 405B on two nodes of eight; only its image, command line and
sizes are exchanged, so that every path of a deployment runs in seconds. What serves logs as vLLM
does, with the figures of the plan or wrong ones, and answers what vLLM answers.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from shardwright.cli.deploy import Deployment, deployment_of
from shardwright.model.launch import Member
from shardwright.model.process import EnvVar
from shardwright.model.text import MemberIndex, text
from shardwright.model.units import GIB, MIB
from shardwright.model.volumes import VolumeKind

IMAGE = "testbed.local/vllm-cpu:1"
SPEC = """\
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  model: {{id: meta-llama/Llama-3.1-405B-Instruct-FP8}}
  cluster: {{gpu: H200-SXM, gpusPerNode: 8, nodes: 2}}
  parallelism: {{tensor: 8, pipeline: 2}}
  launch: {launch}
"""
GPUS = 1

ENGINE = """
import http.server, json, os, sys, time
member = int(sys.argv[1]); says = os.environ; model = says["MODEL"]
if says.get("CRASHES"):
    print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 9 GiB", flush=True)
    sys.exit(1)
with open("/dev/shm/queue", "wb") as f: f.write(b"x" * (4 << 20))
for local in range(8):
    rank, pid = member * 8 + local, 100 + local
    print(f"(Worker pid={pid}) INFO world_size=16 rank={rank} local_rank={local} backend=nccl")
time.sleep(float(says.get("LOADS_S", "1")))
for local in range(8):
    who = f"(Worker_PP{member}_TP{local} pid={100 + local}) INFO"
    print(f"{who} Model loading took {says['WEIGHTS_GIB']} GiB memory and 2.0 seconds")
    print(f"{who} torch.compile takes 1.5 s in total")
    print(f"{who} Graph capturing finished in 3 secs, took 0.34 GiB")
if member:
    time.sleep(100000)
print("(EngineCore pid=7) INFO GPU KV cache size: 1,000,000 tokens")
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.answer({"data": [{"id": model}]})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if says.get("REFUSES"):
            return self.answer({"error": "no"}, 500)
        choice = {"text": says["VERSION"], "index": 0}
        if not body.get("stream"):
            return self.answer({"choices": [choice], "usage": {"completion_tokens": 8}})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        chunk = "data: " + json.dumps({"choices": [choice]}) + chr(10) * 2
        self.wfile.write((chunk * 8 + "data: [DONE]" + chr(10) * 2).encode())
        self.close_connection = True
    def answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
print("(APIServer pid=1) INFO: Application startup complete.", flush=True)
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""


def deployment(folder: Path, namespace: str, launch: str = "statefulset", **env: str) -> Deployment:
    """Plan a real endpoint and exchange its engine. env: how the engine behaves."""
    spec = folder / "spec.yaml"
    spec.write_text(SPEC.format(name="small", namespace=namespace, launch=launch))
    made = deployment_of(spec)
    plan = made.launch
    weights = made.plan.memory[0].weights_bytes / GIB
    said = {"VERSION": "1", "WEIGHTS_GIB": f"{weights:.2f}", "MODEL": plan.served_name} | env
    budgets = replace(
        plan.budgets, image_pull_s=60, rendezvous_s=60, load_s=60, compile_s=30, graphs_s=30,
        startup_s=90, drain_s=5,
    )  # fmt: skip
    members = tuple(_small(member, said) for member in plan.group.members)
    small = replace(
        plan,
        group=replace(plan.group, members=members),
        budgets=budgets,
        tasks=(),
        configs=(),
        claims=tuple(replace(claim, size_bytes=GIB) for claim in plan.claims),
    )
    return replace(made, launch=small)


def _small(member: Member, env: dict[str, str]) -> Member:
    variables = tuple(EnvVar(name=name, value=text(value)) for name, value in env.items())
    argv = (text("python3"), text("-u"), text("-c"), text(ENGINE), text(MemberIndex()))
    return replace(
        member,
        image=IMAGE,
        processes=tuple(replace(p, argv=argv, env=variables) for p in member.processes),
        gpus=GPUS,
        cpu_millis=50,
        memory_bytes=256 * MIB,
        shm_bytes=16 * MIB,
        mounts=tuple(
            replace(mount, size_bytes=16 * MIB) if mount.kind is VolumeKind.SHARED_MEMORY else mount
            for mount in member.mounts
        ),
    )
