"""The kinds of JSON document that commands print, each with its version (docs/json.md).

Every document is an object with an `apiVersion`; within a version fields are added, and none is
renamed or taken away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

KINDS: Final[dict[str, str]] = {
    "accuracy": "accuracy",
    "artifacts": "artifacts",
    "bench": "bench",
    "bundle": "bundle",
    "calibration": "calibrate",
    "deletion": "delete",
    "deployment": "deploy",
    "diagnosis": "doctor",
    "diff": "diff",
    "endpoint": "status",
    "endpoints": "list",
    "engine-check": "engines verify",
    "engines": "engines list",
    "latency": "predict latency",
    "lint": "lint",
    "memory": "predict memory",
    "plan": "plan",
    "preflight": "preflight",
    "rehearsal": "rehearse",
    "sizing": "sizing",
    "verdict": "verdict",
    "why": "plan --why",
}
"""Kind of document -> the command that prints it."""


def api_version(kind: str) -> str:
    """Name a kind and its version.

    >>> api_version("plan")
    'shardwright.dev/plan/v1alpha1'
    """
    if kind not in KINDS:
        raise KeyError(kind)
    return f"shardwright.dev/{kind}/v1alpha1"


def versioned(kind: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Make the document of a kind from its fields."""
    return {"apiVersion": api_version(kind), **body}
