"""The engine build and the repository it leaves, loaded by the real tritonserver.

The converter, the compiler and the backend are stand-ins: they need a GPU. The server, its reading
of every config.pbtxt, explicit model control and the python backend are the real ones, from the
wheel nvidia-pytriton in an environment of its own: SHARDWRIGHT_TEST_TRITON names its directory.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from shardwright.engines.pods import build_engine

GOLDEN = Path(__file__).parents[1] / "golden" / "render" / "triton-engines-mpi" / "expected"
VENV = Path(os.environ.get("SHARDWRIGHT_TEST_TRITON", "/nonexistent"))
PYTHON = next((p.name[6:] for p in VENV.glob("lib/python3*")), "")
TRITON = next(iter(VENV.glob("lib/python3*/site-packages/pytriton/tritonserver")), None)
CONVERT = """
import pathlib, sys
a = dict(zip(sys.argv[1::2], sys.argv[2::2]))
out = pathlib.Path(a["--output_dir"]); out.mkdir(parents=True)
(out / "config.json").write_text(repr(a))
"""
BUILD = """#!/bin/bash
while (($#)); do case $1 in --output_dir) out=$2;; --checkpoint_dir) in=$2;; esac; shift 2; done
test -f "$in/config.json" || exit 9
mkdir -p "$out"
for rank in {0..15}; do echo engine >"$out/rank$rank.engine"; done
"""
MODEL = """
import os
import triton_python_backend_utils as pb
class TritonPythonModel:
    def initialize(self, args):
        import json
        config = json.loads(args["model_config"])
        where = config["parameters"].get("gpt_model_path", {}).get("string_value")
        if where and not os.path.exists(f"{where}/rank0.engine"):
            raise pb.TritonModelException(f"no engine in {where}")
    def execute(self, requests):
        return [pb.InferenceResponse([]) for _ in requests]
"""
CORE = """
name: "tensorrt_llm"
backend: "${triton_backend}"
max_batch_size: ${triton_max_batch_size}
model_transaction_policy { decoupled: ${decoupled_mode} }
dynamic_batching { preferred_batch_size: [ ${triton_max_batch_size} ]
  max_queue_delay_microseconds: ${max_queue_delay_microseconds}
  default_queue_policy: { max_queue_size: ${max_queue_size} } }
input [ { name: "input_ids" data_type: TYPE_INT32 dims: [ -1 ] } ]
output [ { name: "output_ids" data_type: TYPE_INT32 dims: [ -1, -1 ] },
         { name: "context_logits" data_type: ${logits_datatype} dims: [ -1, -1 ] } ]
instance_group [ { count: 1 kind: KIND_CPU } ]
parameters: { key: "gpt_model_type" value: { string_value: "${batching_strategy}" } }
parameters: { key: "gpt_model_path" value: { string_value: "${engine_dir}" } }
parameters: { key: "encoder_model_path" value: { string_value: "${encoder_engine_dir}" } }
"""
STEP = """
name: "%s"
backend: "python"
max_batch_size: ${triton_max_batch_size}
input [ { name: "%s" data_type: TYPE_%s dims: [ -1 ] } ]
output [ { name: "%s" data_type: TYPE_%s dims: [ -1 ] } ]
instance_group [ { count: ${%s_instance_count} kind: KIND_CPU } ]
parameters: { key: "tokenizer_dir" value: { string_value: "${tokenizer_dir}" } }
"""
ENSEMBLE = """
name: "ensemble"
platform: "ensemble"
max_batch_size: ${triton_max_batch_size}
input [ { name: "text_input" data_type: TYPE_STRING dims: [ -1 ] } ]
output [ { name: "text_output" data_type: TYPE_STRING dims: [ -1 ] } ]
ensemble_scheduling { step [
  { model_name: "preprocessing" model_version: -1
    input_map { key: "QUERY" value: "text_input" } output_map { key: "IDS" value: "_IDS" } },
  { model_name: "postprocessing" model_version: -1
    input_map { key: "IDS" value: "_IDS" } output_map { key: "OUTPUT" value: "text_output" } } ] }
"""


@pytest.fixture
def image(tmp_path):
    """What the Triton image holds for a build: converter, compiler, model templates."""
    app = tmp_path / "app"
    convert = app / "examples/models/core/llama/convert_checkpoint.py"
    templates = app / "all_models/inflight_batcher_llm"
    texts = {
        convert: CONVERT,
        app / "bin/trtllm-build": BUILD,
        templates / "tensorrt_llm/config.pbtxt": CORE,
        templates / "preprocessing/config.pbtxt":
            STEP % ("preprocessing", "QUERY", "STRING", "IDS", "INT32", "preprocessing"),
        templates / "postprocessing/config.pbtxt":
            STEP % ("postprocessing", "IDS", "INT32", "OUTPUT", "STRING", "postprocessing"),
        templates / "preprocessing/1/model.py": MODEL,
        templates / "postprocessing/1/model.py": MODEL,
        templates / "ensemble/config.pbtxt": ENSEMBLE,
    }  # fmt: skip
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (app / "bin/trtllm-build").chmod(0o755)
    return app


def job_argv():
    """Read the build's own command line out of the rendered Job."""
    job = next(yaml.safe_load(p.read_text()) for p in GOLDEN.glob("job-llama-70b-engine*"))
    script = job["spec"]["template"]["spec"]["containers"][0]["args"][0]
    return re.search(r"build_engine\.py (.*)", script)[1].split()


def build(image, out):
    argv = job_argv()
    argv[argv.index("--out") + 1] = str(out)
    env = {**os.environ, "PATH": f"{image / 'bin'}:{os.environ['PATH']}"}
    argv = [sys.executable, build_engine.__file__, *argv, "--app", str(image)]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


def test_build_leaves_a_whole_repository_or_none(image, tmp_path):
    done = build(image, tmp_path / "repository")
    assert done.returncode == 0, done.stdout + done.stderr
    engines = sorted(p.name for p in (tmp_path / "repository/tensorrt_llm/1").iterdir())
    assert len(engines) == 16
    assert not (tmp_path / "repository.partial").exists()
    (image / "bin/trtllm-build").write_text("#!/bin/bash\nexit 3\n")
    assert build(image, tmp_path / "other").returncode == 1
    assert not (tmp_path / "other").exists()


def test_image_without_the_engine_backend_is_named(image, tmp_path):
    (image / "examples/models/core/llama/convert_checkpoint.py").unlink()
    done = build(image, tmp_path / "repository")
    assert done.returncode == 1
    assert "has no TensorRT engine backend (removed upstream in July 2026)" in done.stderr


def test_placeholder_nobody_knows_is_named(image, tmp_path):
    config = image / "all_models/inflight_batcher_llm/preprocessing/config.pbtxt"
    config.write_text(config.read_text() + "priority: ${new_thing}\n")
    assert "wants new_thing" in build(image, tmp_path / "repository").stderr


def leader_flags(repository):
    """Flags of ranks 0 and 1 as rendered, with the repository of this test."""
    leader = yaml.safe_load((GOLDEN / "statefulset-llama-70b-leader.yaml").read_text())
    script = leader["spec"]["template"]["spec"]["containers"][0]["args"][0]
    commands = re.findall(r"-n 1 tritonserver ([^\\&\n]*?)(?= : \\| & |$)", script, re.MULTILINE)
    return [
        [re.sub(r"(--model-repository=).*", rf"\g<1>{repository}", word) for word in c.split()]
        for c in commands[:2]
    ]


@pytest.mark.skipif(TRITON is None, reason="SHARDWRIGHT_TEST_TRITON names no nvidia-pytriton")
def test_real_tritonserver_loads_it_as_rendered(image, tmp_path):
    assert build(image, tmp_path / "repository").returncode == 0
    backends = tmp_path / "backends"
    (backends / "tensorrtllm").mkdir(parents=True)
    (backends / "tensorrtllm/model.py").write_text(MODEL)
    shutil.copytree(TRITON / "backends/python", backends / "python")
    stub = next((TRITON / "python_backend_stubs" / PYTHON).glob("**/triton_python_backend_stub"))
    shutil.copy(stub, backends / "python")
    first, second = leader_flags(tmp_path / "repository")
    ready = serve(first, tmp_path, backends, port=18431)
    assert ready == {"preprocessing", "tensorrt_llm", "postprocessing", "ensemble"}
    assert "--allow-http=false" in second
    # a follower, with HTTP open for this test alone, loads the engine model and nothing else
    second = [word for word in second if word != "--allow-http=false"]
    assert serve(second, tmp_path, backends, port=18432) == {"tensorrt_llm"}


def serve(flags, folder, backends, port):
    """Start tritonserver with rendered flags; return the models it says are ready."""
    log = folder / f"triton-{port}.log"
    free = [f"--grpc-port={port + 100}", f"--metrics-port={port + 200}"]
    argv = [str(TRITON / "bin/tritonserver"), *flags, f"--backend-directory={backends}"]
    env = {**os.environ, "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}"}
    env["PYTHONPATH"] = str(VENV / f"lib/python{PYTHON}/site-packages")
    home = subprocess.run(
        [str(VENV / "bin/python"), "-c", "import sys; print(sys.base_prefix)"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    libs = VENV / f"lib/python{PYTHON}/site-packages/nvidia_pytriton.libs"
    env["LD_LIBRARY_PATH"] = f"{libs}:{home}/lib"
    with log.open("w") as out:
        process = subprocess.Popen(
            [*argv, f"--http-port={port}", "--http-address=127.0.0.1", *free],
            stdout=out, stderr=out, env=env,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            try:
                base = f"http://127.0.0.1:{port}/v2"
                with urllib.request.urlopen(f"{base}/health/ready", timeout=2):
                    pass
                asked = urllib.request.Request(f"{base}/repository/index", data=b"{}")
                with urllib.request.urlopen(asked, timeout=5) as answer:
                    models = json.loads(answer.read())
                return {m["name"] for m in models if m.get("state") == "READY"}
            except OSError:
                time.sleep(0.5)
        pytest.fail(log.read_text()[-3000:])
    finally:
        process.terminate()
        process.wait(timeout=30)
