"""What an engine compiled, kept on the claim of the weights for its next start. Called by build.

The folder is named by all that the result depends on and the engine does not tell apart by itself:
engine, version, GPU and layout. A start with any of them changed compiles anew, beside the old.
"""

from __future__ import annotations

from dataclasses import replace

from shardwright.engines import Engine, Serve
from shardwright.model.errors import usage_error
from shardwright.model.process import EnvVar, Process
from shardwright.model.text import text
from shardwright.model.volumes import Mount, VolumeKind

CACHE_PATH = "/compile-cache"
FOLDER = "compile-cache"


def cache_key(serve: Serve, engine: Engine) -> str:
    """Name what compiled code depends on, such as vllm-0.33.0-h200-sxm-tp8-pp2."""
    layout = str(replace(serve.plan.layout, replicas=1)).replace("=", "").replace(" ", "-")
    return f"{engine.name}-{serve.version}-{serve.request.cluster.gpu}-{layout}".lower()


def cache_mounts(serve: Serve, engine: Engine, volume: str) -> tuple[Mount, ...]:
    """Mount its folder of the claim, if the spec asks for it; volume: that of the weights."""
    storage = serve.request.storage
    if not storage.compile_cache:
        return ()
    if engine.compile_cache_env is None:
        raise usage_error(
            "compile-cache-unknown",
            f"{engine.name} has no folder for what it compiles that could be kept",
            remedy="leave spec.storage.compileCache out",
        )
    if serve.claim is None or storage.access_mode == "ReadOnlyMany":
        raise usage_error(
            "compile-cache-read-only",
            "the compile cache is kept beside the weights, and nothing can be written there",
            cause="they are in an image" if serve.claim is None else "the claim is ReadOnlyMany",
            remedy="keep the weights on a claim that can be written, or leave compileCache out",
        )
    return (
        Mount(
            volume=volume, kind=VolumeKind.CLAIM, path=CACHE_PATH, source=serve.claim,
            sub_path=f"{FOLDER}/{cache_key(serve, engine)}",
        ),
    )  # fmt: skip


def with_cache(process: Process, engine: Engine, mounts: tuple[Mount, ...]) -> Process:
    """Tell a process of the engine where its cache is; a variable of the user's own wins."""
    name = engine.compile_cache_env
    if name is None or not mounts or any(var.name == name for var in process.env):
        return process
    why = "what one start compiled, the next need not"
    return replace(process, env=(*process.env, EnvVar(name=name, value=text(CACHE_PATH), why=why)))
