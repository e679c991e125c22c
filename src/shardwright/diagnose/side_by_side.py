"""Runs one function over many documents on all cores, in the documents' order.

Where there is much to read each core gets a process that inherits the documents by fork, since half
of the work holds the interpreter's lock; otherwise, and where there is no fork, threads do.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from shardwright.diagnose.evidence import Document

Result = TypeVar("Result")

WORTH_FORKING_BYTES: Final = 64 << 20
"""Reading this takes about a third of a second; starting processes a tenth of that."""

_inherited: list[tuple[Callable[[Document], object], Sequence[Document]]] = []


def over_documents(
    function: Callable[[Document], Result], documents: Sequence[Document], num_workers: int
) -> list[Result]:
    """Apply the function to each document; its result must be picklable."""
    size = sum(each.num_bytes or 0 for each in documents)
    if num_workers > 1 and len(documents) > 1 and size >= WORTH_FORKING_BYTES and _can_fork():
        return _in_processes(function, documents, num_workers)
    if len(documents) == 1:  # here, where Ctrl-C ends the wait for a terminal's input
        return [function(documents[0])]
    with ThreadPoolExecutor(max_workers=num_workers) as pool:
        return list(pool.map(function, documents))


def _can_fork() -> bool:
    return sys.platform == "linux"


def _in_processes(
    function: Callable[[Document], Result], documents: Sequence[Document], num_workers: int
) -> list[Result]:
    order = sorted(range(len(documents)), key=lambda n: -(documents[n].num_bytes or 0))
    _inherited.append((function, documents))
    try:
        with multiprocessing.get_context("fork").Pool(min(num_workers, len(documents))) as pool:
            found = dict(zip(order, pool.map(_one, order, chunksize=1), strict=True))
    finally:
        _inherited.pop()
    return [found[n] for n in range(len(documents))]  # type: ignore[misc]


def _one(number: int) -> object:
    function, documents = _inherited[-1]
    return function(documents[number])
