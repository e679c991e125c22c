"""Shardwright: plan, rehearse, render, deploy, diagnose and measure distributed LLM inference."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shardwright.api import plan, predict_latency, predict_memory
    from shardwright.model.errors import ShardwrightError

__version__ = "0.1.0"

__all__ = ["ShardwrightError", "__version__", "plan", "predict_latency", "predict_memory"]

_LAZY = {
    "ShardwrightError": "shardwright.model.errors",
    "plan": "shardwright.api",
    "predict_latency": "shardwright.api",
    "predict_memory": "shardwright.api",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
