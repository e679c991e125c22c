"""How each engine's command line is written: program, flags, images. One value per engine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache

from shardwright.lint.workload.container import Image
from shardwright.model.version import Version, parse_version


class Engine(Enum):
    """The engines whose command lines are read; values as in `facts.flags`."""

    VLLM = "vllm"
    SGLANG = "sglang"
    TENSORRT_LLM = "tensorrt-llm"
    TRITON = "triton"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One engine's command line. Flags are spelled with dashes; each tuple lists synonyms."""

    engine: Engine
    title: str
    port: int
    health_path: str
    modules: frozenset[str] = frozenset()
    """Python modules that serve (`python -m ...`)."""
    programs: frozenset[tuple[str, ...]] = frozenset()
    """Programs, with a subcommand where they have one."""
    tensor: tuple[str, ...] = ()
    pipeline: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    node_rank: tuple[str, ...] = ()
    address: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    http_port: tuple[str, ...] = ("--port",)
    max_length: tuple[str, ...] = ()
    entrypoint_images: tuple[str, ...] = ()
    """Image names whose entrypoint is the engine, so that arguments alone are its flags."""
    versioned_image: str = ""
    """Pattern of `repository:tag`; its group 1 is the engine's version."""
    default_host: str = ""
    """Where it listens unless told; "" for every address of the pod."""


VLLM = Dialect(
    engine=Engine.VLLM,
    title="vLLM",
    port=8000,
    health_path="/health",
    modules=frozenset({"vllm.entrypoints.openai.api_server", "vllm.entrypoints.api_server"}),
    programs=frozenset({("vllm", "serve")}),
    tensor=("--tensor-parallel-size", "-tp"),
    pipeline=("--pipeline-parallel-size", "-pp"),
    data=("--data-parallel-size", "-dp"),
    nodes=("--nnodes", "-n"),
    node_rank=("--node-rank", "-r"),
    address=("--master-addr",),
    model=("--model",),
    max_length=("--max-model-len",),
    entrypoint_images=("vllm-openai", "vllm-openai-rocm", "vllm-openai-xpu", "vllm-cpu"),
    versioned_image=r"(?!.*lmcache).*(?:^|/)vllm-openai(?:-rocm|-xpu)?:v?([0-9].*)",
)
SGLANG = Dialect(
    engine=Engine.SGLANG,
    title="SGLang",
    port=30000,
    health_path="/health",
    modules=frozenset({"sglang.launch_server"}),
    programs=frozenset({("sglang", "serve")}),
    tensor=("--tp-size", "--tensor-parallel-size", "--tp"),
    pipeline=("--pp-size", "--pipeline-parallel-size", "--pp"),
    data=("--dp-size", "--data-parallel-size", "--dp"),
    nodes=("--nnodes",),
    node_rank=("--node-rank",),
    address=("--dist-init-addr", "--nccl-init-addr"),
    model=("--model-path", "--model"),
    max_length=("--context-length",),
    versioned_image=r".*(?:^|/)sglang:v?([0-9].*)",
    default_host="127.0.0.1",
)
TENSORRT_LLM = Dialect(
    engine=Engine.TENSORRT_LLM,
    title="TensorRT-LLM",
    port=8000,
    health_path="/health",
    programs=frozenset({("trtllm-serve",)}),
    tensor=("--tp-size", "--tensor-parallel-size"),
    pipeline=("--pp-size", "--pipeline-parallel-size"),
    max_length=("--max-seq-len",),
    versioned_image=r".*tensorrt-llm/release:([0-9].*)",
    default_host="localhost",
)
TRITON = Dialect(
    engine=Engine.TRITON,
    title="Triton",
    port=8000,
    health_path="/v2/health/ready",
    programs=frozenset({("tritonserver",), ("launch_triton_server.py",)}),
    model=("--model-repository", "--model-store", "--model-repo"),
    http_port=("--http-port",),
    versioned_image=r".*tritonserver:([0-9]+\.[0-9]+).*",
)
DIALECTS: tuple[Dialect, ...] = (VLLM, SGLANG, TENSORRT_LLM, TRITON)
_BY_PROGRAM = {program: dialect for dialect in DIALECTS for program in dialect.programs}
_BY_MODULE = {module: dialect for dialect in DIALECTS for module in dialect.modules}
_VERSIONED = tuple((d, re.compile(d.versioned_image)) for d in DIALECTS)
_ENTRYPOINT = {name: dialect for dialect in DIALECTS for name in dialect.entrypoint_images}


def dialect_of_program(program: str, argument: str) -> tuple[Dialect, int] | None:
    """Recognise a program by its name; with it, how many words name it.

    >>> found = dialect_of_program("/usr/local/bin/vllm", "serve")
    >>> found and (found[0].title, found[1])
    ('vLLM', 2)
    """
    name = program.rpartition("/")[2]
    if (name, argument) in _BY_PROGRAM:
        return _BY_PROGRAM[name, argument], 2
    return (_BY_PROGRAM[(name,)], 1) if (name,) in _BY_PROGRAM else None


def dialect_of_module(module: str) -> Dialect | None:
    """Recognise a Python module."""
    return _BY_MODULE.get(module)


def dialect_of_entrypoint(image: Image) -> Dialect | None:
    """Return the engine an image starts by itself."""
    return _ENTRYPOINT.get(image.base)


def is_stock_vllm(image: Image) -> bool:
    """True for vLLM's own image, under any registry."""
    return image.repository == "vllm/vllm-openai" or image.repository.endswith("/vllm/vllm-openai")


@cache
def version_of(image: Image, engine: Engine) -> Version | None:
    """Read an engine's version from the image's tag; None where the tag does not tell."""
    if not image.tag:
        return None
    reference = f"{image.repository}:{image.tag}"
    for dialect, pattern in _VERSIONED:
        if dialect.engine is engine and (match := pattern.fullmatch(reference)):
            return parse_version(match[1])
    return None
