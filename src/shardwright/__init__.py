"""Shardwright: plan, rehearse, render, deploy, diagnose and measure distributed LLM inference."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shardwright.api import predict_latency, predict_memory

__version__ = "0.1.0"

__all__ = ["__version__", "predict_latency", "predict_memory"]

_LAZY = {"predict_latency": "shardwright.api", "predict_memory": "shardwright.api"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
