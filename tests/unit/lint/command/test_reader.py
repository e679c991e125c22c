import pytest

from shardwright.lint.command.dialects import Engine
from shardwright.lint.command.invocation import Form, Site
from shardwright.lint.command.reader import read_command
from shardwright.lint.objects import KubeObject
from shardwright.lint.workload.container import read_container


def read(image="vllm/vllm-openai:v0.9.1", known=None, scripts=None, **fields):
    container = read_container({"name": "c", "image": image, **fields}, ())
    site = Site(object=KubeObject(data={}), path=())
    found = {path: (text, site) for path, text in (scripts or {}).items()}
    return read_command(container, known or {}, found.get, site)


def engine(**fields):
    (found,) = read(**fields).engines
    return found


@pytest.mark.parametrize(
    "fields",
    [
        {"args": ["m", "--tensor-parallel-size", "8", "--enforce-eager"]},
        {"args": ["--model=m", "-tp=8", "--enforce-eager"]},
        {"command": ["vllm", "serve", "m", "-tp", "8", "--enforce-eager"]},
        {"command": ["vllm", "serve"], "args": ["--enforce-eager", "m", "-tp8"]},
        {
            "command": ["python3", "-m", "vllm.entrypoints.openai.api_server"],
            "args": ["--model", "m", "--tensor_parallel_size=8", "--enforce-eager"],
        },
        {"command": ["/bin/bash", "-c", "exec vllm serve m \\\n -tp 8 --enforce-eager"]},
        {
            "command": ["bash", "-euxo", "pipefail", "-c"],
            "args": ["vllm serve m -tp 8 --enforce-eager"],
        },
        {"command": ["sh", "-c"], "args": ["A='-tp 8'; vllm serve m $A --enforce-eager"]},
        {
            "command": ["vllm", "serve", "$(M)", "-tp", "$(N)", "--enforce-eager"],
            "env": [{"name": "M", "value": "m"}, {"name": "N", "value": 8}],
        },
        {"command": ["bash", "-c", "cat > /r <<E\nvllm serve m -tp 8 --enforce-eager\nE\nbash /r"]},
        {"command": ["bash", "-c", "bash <<E\nvllm serve m -tp 8 --enforce-eager\nE"]},
        {
            "command": ["/scripts/run.sh"],
            "scripts": {"/scripts/run.sh": "#!/bin/sh\nexec vllm serve m -tp 8 --enforce-eager"},
        },
        {
            "command": ["bash", "/r.sh", "m", "-tp", "8"],
            "scripts": {"/r.sh": 'vllm serve "$@" --enforce-eager'},
        },
    ],
)
def test_one_engine_in_many_clothes(fields):
    found = engine(**fields)
    assert (found.engine, found.model, found.tensor_parallel) == (Engine.VLLM, "m", 8)
    assert found.has("--enforce-eager")
    assert str(found.version) == "0.9.1"


def test_forms():
    assert engine(args=["m"]).form is Form.ENTRYPOINT
    assert engine(command=["vllm", "serve", "m"]).form is Form.PROGRAM
    module = ["python3", "-m", "vllm.entrypoints.openai.api_server"]
    assert engine(command=module).form is Form.MODULE


def test_values_only_the_pod_knows_stay_unknown():
    found = engine(
        command=["vllm", "serve", "m", "--nnodes", "$(SIZE)", "--node-rank", "$(IDX)"],
        known={"SIZE": "2"},
        env=[{"name": "IDX", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['i']"}}}],
    )
    assert (found.num_nodes, found.asks_for_nodes) == (2, True)
    assert found.node_rank not in {"0", "1"}


def test_ray_and_the_engine_after_it():
    found = read(command=["bash", "-c", "ray start --head --port 6380; vllm serve m"])
    assert [(r.is_head, r.port) for r in found.rays] == [(True, 6380)]
    assert len(found.engines) == 1


def test_the_wrapper_script_of_vllm_starts_ray():
    script = "bash /vllm-workspace/examples/online_serving/multi-node-serving.sh "
    leader = read(command=["sh", "-c", script + "leader --ray_cluster_size=2; vllm serve m"])
    worker = read(command=["sh", "-c", script + "worker --ray_address=$(A)"], known={"A": "host"})
    assert leader.rays[0].is_head
    assert worker.rays[0].address == "host:6379"
    assert not leader.is_opaque


def test_sglang_and_trtllm_and_triton():
    words = ["python3", "-m", "sglang.launch_server", "--model-path", "m", "--tp", "16"]
    found = engine(image="lmsysorg/sglang:v0.5.3", command=words)
    assert (found.engine, found.tensor_parallel, found.port) == (Engine.SGLANG, 16, 30000)
    words = ["mpirun", "-n", "16", "trtllm-llmapi-launch", "trtllm-serve", "serve", "m"]
    found = engine(
        image="nvcr.io/nvidia/tensorrt-llm/release:1.1.0", command=[*words, "--tp_size=8"]
    )
    assert (found.engine, found.mpi_ranks, found.tensor_parallel) == (Engine.TENSORRT_LLM, 16, 8)
    found = read(
        image="nvcr.io/nvidia/tritonserver:24.12-trtllm-python-py3",
        command=["mpirun", "--allow-run-as-root"],
        args=[
            "-n",
            "1",
            "tritonserver",
            "--id=rank0",
            ":",
            "-n",
            "1",
            "tritonserver",
            "--id=rank1",
        ],
    )
    assert [e.engine for e in found.engines] == [Engine.TRITON, Engine.TRITON]


def test_a_program_named_twice():
    assert read(args=["vllm", "serve", "m"]).repeats_entrypoint
    assert not read(args=["m"]).repeats_entrypoint


def test_an_unseen_script_is_opaque():
    assert read(command=["bash", "/opt/start.sh"]).is_opaque
    assert not read(command=["vllm", "serve", "m"]).is_opaque


def test_other_images_tell_no_version():
    assert engine(image="lmcache/vllm-openai:v0.3.9", args=["m"]).version is None
    assert engine(image="vllm/vllm-openai:latest", args=["m"]).version is None
    assert str(engine(image="r.example:5000/x/vllm-openai:v0.11.1", args=["m"]).version) == "0.11.1"
