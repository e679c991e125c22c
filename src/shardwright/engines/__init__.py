"""One value per engine: flags by version, memory rule, divisibility, commands, log patterns."""

from shardwright.engines.engine import Engine, Refusal, Serve
from shardwright.engines.sglang import SGLANG
from shardwright.engines.tensorrt_llm import TENSORRT_LLM
from shardwright.engines.triton import TRITON
from shardwright.engines.triton_engines import TRITON_ENGINES
from shardwright.engines.vllm import VLLM
from shardwright.model.errors import ShardwrightError, usage_error

ENGINES: tuple[Engine, ...] = (VLLM, SGLANG, TENSORRT_LLM, TRITON, TRITON_ENGINES)

_BY_NAME = {engine.name: engine for engine in ENGINES}
if len(_BY_NAME) != len(ENGINES):
    raise AssertionError("two engines share a name")


def find_engine(name: str) -> Engine:
    """Return the engine of this name. Raises ShardwrightError if it is not supported."""
    if name not in _BY_NAME:
        raise _unknown(name)
    return _BY_NAME[name]


def _unknown(name: str) -> ShardwrightError:
    return usage_error(
        "engine-not-supported",
        f"the engine {name} cannot be launched by this version",
        remedy=f"set spec.engine.name to one of: {', '.join(sorted(_BY_NAME))}",
    )


__all__ = ["ENGINES", "Engine", "Refusal", "Serve", "find_engine"]
