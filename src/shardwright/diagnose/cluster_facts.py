"""Conditions over what Kubernetes says of nodes and endpoints (`kubectl describe node`, slices).

Called by predicates, which names them for the knowledge files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import re2

from shardwright.diagnose.evidence import Block, Evidence, Hit, Source
from shardwright.diagnose.lines import printable

_GPU: Final = r"[\w.-]+/(?:gpu|mig-[\w.-]+)"


def hit_at(block: Block, position: int, **values: str) -> Hit:
    """Make a hit of the line at a character position of a block."""
    start = block.text.rfind("\n", 0, position) + 1
    end = block.text.find("\n", position)
    line = block.first_line + block.text.count("\n", 0, start)
    return Hit(
        document=block.document, block=block.index, source=block.source, line=line,
        text=printable(block.text[start : end if end >= 0 else None]), values=values,
    )  # fmt: skip


def gpus_gone(evidence: Evidence) -> Iterator[Hit]:
    """Find a node that offers fewer GPUs than it has: by its own count, or by its labels.

    The device plugin lowers Allocatable for GPUs it holds unhealthy, and where it does not run the
    resource is 0 or absent while GPU feature discovery's labels stay.
    """
    for block in evidence.texts(Source.CLUSTER):
        for start, text in _nodes(block):
            offered = re2.search(rf"(?m)^Allocatable:\n(?:  .*\n)*?  ({_GPU}): +(\d+)", text)
            has = re2.search(rf"(?m)^Capacity:\n(?:  .*\n)*?  {_GPU}: +(\d+)", text)
            labelled = re2.search(r"nvidia\.com/gpu\.count=(\d+)", text)
            total = max(int(m.group(1)) for m in (has, labelled) if m) if has or labelled else 0
            left = int(offered.group(2)) if offered else 0
            known = offered or (labelled and "\nAllocatable:" in text)
            if known and left < total:
                place = offered.start(1) if offered else text.index("\nAllocatable:") + 1
                name = re2.search(r"(?m)^Name: +(\S+)", text)
                yield hit_at(
                    block, start + place, node=name.group(1) if name else "the node",
                    left=str(left), total=str(total),
                )  # fmt: skip


def _nodes(block: Block) -> Iterator[tuple[int, str]]:
    """Cut a description of nodes into one text each: (its position, text)."""
    starts = [m.start() for m in re2.finditer(r"(?m)^Name: ", block.text)] or [0]
    for start, end in zip(starts, [*starts[1:], len(block.text)], strict=True):
        text = block.text[start:end]
        if "Allocatable:" in text:
            yield start, text


def no_ready_endpoint(evidence: Evidence) -> Iterator[Hit]:
    """Find a Service that reaches nobody although a pod is ready: no fault of the pods."""
    blocks = evidence.texts(Source.CLUSTER)
    if not any(_has_ready_pod(block.text) for block in blocks):
        return
    reached: dict[str, list[tuple[Hit, bool]]] = {}
    pattern = r"(?m)^Labels: +kubernetes\.io/service-name=(\S+)\n((?:.+\n?)*)"
    for block in blocks:
        for found in re2.finditer(pattern, block.text):
            ready = bool(re2.search(r"Ready: +true", found.group(2)))
            hit = hit_at(block, found.start(1), service=found.group(1))
            reached.setdefault(found.group(1), []).append((hit, ready))
    for slices in reached.values():
        if not any(ready for _, ready in slices):
            yield slices[0][0]


def named_pod_not_started(evidence: Evidence) -> Iterator[Hit]:
    """Find a pod that has not started and whose name some log could not resolve."""
    pattern = (
        r"(?m)^(\S+) +\d+/\d+ +(Pending|ContainerCreating|Init:\S+|PodInitializing|\w*Image\w*)"
    )
    rows = [
        (block, row)
        for block in evidence.texts(Source.CLUSTER)
        for row in re2.finditer(pattern, block.text)
    ]
    unresolved = r"(?mi)^.*(?:cannot be retrieved|not known|resolv|NXDOMAIN|lookup).*$"
    logs = evidence.texts(Source.LOG) if rows else ()
    asked = "\n".join(line.group() for b in logs for line in re2.finditer(unresolved, b.text))
    for block, row in rows:
        if f"{row.group(1)}." in asked:
            yield hit_at(block, row.start(), pod=row.group(1), phase=row.group(2))
            return


def _has_ready_pod(text: str) -> bool:
    """Tell it from `kubectl get -o json` or from `kubectl describe pod`."""
    return bool(
        re2.search(r'"status": "True",\s+"type": "Ready"', text)
        or re2.search(r"(?m)^  Ready +True *$", text)
    )
