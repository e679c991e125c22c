"""From a published config.json to exact parameters, per-rank split and KV bytes per token."""

from __future__ import annotations

from shardwright.shape.reader import load, read_config

__all__ = ["load", "read_config"]
