"""What is tried on a running endpoint, one attempt at a time: a failed one is a result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shardwright.model.running import Clock, Unreachable
from shardwright.verify.client import BadAnswer, Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing tried on the running endpoint, and how it went."""

    name: str
    passed: bool
    detail: str
    took_s: float


def tried(name: str, attempt: Callable[[], str], clock: Clock) -> Check:
    """Make one attempt; what goes wrong with it is its result."""
    began = clock.now()
    try:
        detail, passed = attempt(), True
    except (Unreachable, BadAnswer) as error:
        detail, passed = str(error), False
    except (KeyError, IndexError, TypeError) as error:
        detail, passed = f"the answer lacks {error!r}", False
    return Check(name=name, passed=passed, detail=detail, took_s=clock.now() - began)


def healthy(client: Client, path: str) -> str:
    """Ask for the health path; raises BadAnswer unless it answers 200."""
    status = client.status(path)
    if status != 200:
        raise BadAnswer(f"{path} answered {status}")
    return f"{path} answers 200"


def listed(client: Client) -> str:
    """Look for the client's model among those served; raises BadAnswer if it is not there."""
    names = [model["id"] for model in client.get("/v1/models")["data"]]
    if client.model not in names:
        raise BadAnswer(f"{client.model} is not among {names}")
    return f"serves {client.model}"


def streamed(chunks: Iterable[Mapping[str, Any]], clock: Clock, *, at_least: int) -> str:
    """Read a stream to its end; raises BadAnswer for fewer chunks with text than at_least."""
    began, first, count = clock.now(), None, 0
    for chunk in chunks:
        first = first if first is not None else clock.now() - began
        count += bool(chunk["choices"])
    if first is None or count < at_least:
        raise BadAnswer(f"{count} chunks")
    return f"{count} chunks, the first after {first:.1f} s"
