"""Which engines fetch their model from the hub when they start, for the rules about weights."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.bundle import Bundle, Member
from shardwright.lint.command.dialects import Engine
from shardwright.lint.command.invocation import EngineInvocation
from shardwright.lint.modelfacts import is_hub_id

_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


def find_hub_engines(bundle: Bundle) -> Iterator[tuple[Member, EngineInvocation]]:
    """Yield engines that will ask the hub for their model."""
    for member, engine in bundle.engines:
        is_dummy = (flag := engine.find(("--load-format",))) and flag.value == "dummy"
        env = member.container.env
        is_offline = any((member.container.env_value(name) or "0") != "0" for name in _OFFLINE)
        mirrored = "VLLM_USE_MODELSCOPE" in env or "SGLANG_USE_MODELSCOPE" in env
        if engine.engine is Engine.TRITON or is_dummy or is_offline or mirrored:
            continue
        if is_hub_id(engine.model) and not member.workload.is_managed:
            yield member, engine
