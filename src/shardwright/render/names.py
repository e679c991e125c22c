"""Names of objects: bounded per kind, so that the names made from them fit as well.

The bound of each kind is what is left of a label value or host name (63 characters) after the
longest thing a controller appends to it.
"""

from __future__ import annotations

import hashlib

MAX_NAME = {
    "Service": 63,
    "Job": 57,  # pods: -xxxxx
    "Deployment": 46,  # pods: -<replica set, 10>-xxxxx
    "StatefulSet": 52,  # controller-revision-hash: -<hash, 10>
    "LeaderWorkerSet": 43,  # pods: -<group>-<index>, and a revision hash of 10 on the StatefulSets
    "RayCluster": 47,  # pods: -<group>-worker-xxxxx, Service: -head-svc
}
_HASH = 6


def bounded(name: str, limit: int) -> str:
    """Shorten a name to a limit; the cut end is replaced by a hash of the whole name.

    >>> bounded("llama", 63)
    'llama'
    >>> bounded("a-very-long-name-of-a-model", 20)
    'a-very-long-n-bb4be5'
    """
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH]
    return f"{name[: limit - _HASH - 1].rstrip('-.')}-{digest}"


def object_name(kind: str, name: str, suffix: str = "") -> str:
    """Name an object of a kind within its bound; the suffix is never cut.

    >>> object_name("StatefulSet", "llama", "worker")
    'llama-worker'
    >>> object_name("LeaderWorkerSet", "a-name-that-is-far-too-long-for-its-pods-and", "group")
    'a-name-that-is-far-too-long-fo-8c04ef-group'
    """
    tail = f"-{suffix}" if suffix else ""
    return bounded(name, MAX_NAME.get(kind, 63) - len(tail)) + tail
