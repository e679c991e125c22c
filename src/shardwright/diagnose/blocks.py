"""Where one source ends and the next begins, in whatever an operator hands over.

A line `--- source: <what>` starts a block (our own bundles write it; people may). A file without
markers is one block, judged by its name and its first lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import re2

from shardwright.diagnose.evidence import Source

MARKER_WORD: Final = "--- source:"
_MARKER: Final = re2.compile(rb"(?m)^--- source: *([^\n]*)\n?")

# first match wins; compared with the lower-cased label
_BY_LABEL: Final[tuple[tuple[str, Source], ...]] = (
    (r"\.(?:log|err|out)(?:\.\d+)?$", Source.LOG),
    (r"\bget\b.*\bevents?\b|^events?\b", Source.CLUSTER),
    ((r"manifest|command|\bargs\b|values|-o (yaml|json)|compose|dockerfile|config\.json|spec"
     r"|\.(?:ya?ml|sh|py)$|pbtxt|script"), Source.MANIFEST),
    ((r"nvidia-smi|\bexec\b|\bprobe|\bdf\b|topo|ibstat|ulimit|\bmetrics\b|\bip\b|rocm-smi"),
     Source.PROBE),
    (r"\blogs?\b|log$", Source.LOG),
    (r"describe|event|kubectl|\bget\b", Source.CLUSTER),
)  # fmt: skip
_BY_CONTENT: Final[tuple[tuple[str, Source], ...]] = (
    (r'"containerStatuses":|"podIP":|"involvedObject":|"phase": "', Source.CLUSTER),
    (r"(?m)^ *(?:- )?(?:involvedObject|regarding):$", Source.CLUSTER),
    ((r"(?m)^ *Type +Reason +Age|^(NAME|NAMESPACE|LAST SEEN) .*(STATUS|READY|REASON|TYPE)"
     r"|^Name: +\S+\n(?:Namespace|Roles|Labels): "), Source.CLUSTER),
    (r"^endpoint \S+: revision \d", Source.MANIFEST),
    (r"(?m)^apiVersion: \S+|^ *kind: [A-Z]|\A#!", Source.MANIFEST),
    (r"NVIDIA-SMI \d|^\tGPU0\t|(?m)^# (?:HELP|TYPE) \w+[: _]", Source.PROBE),
)  # fmt: skip


def source_of_label(label: str) -> Source:
    """Judge a marker's words or a file's name.

    >>> source_of_label("kubectl describe").value, source_of_label("ray log").value
    ('cluster', 'log')
    """
    lowered = label.lower()
    for pattern, source in _BY_LABEL:
        if re2.search(pattern, lowered):
            return source
    return Source.LOG


def source_of_file(name: str, head: str) -> Source:
    """Judge a file without markers by its content, then by its name."""
    for pattern, source in _BY_CONTENT:
        if re2.search(pattern, head):
            return source
    return source_of_label(name)


def split_at_markers(chunk: bytes) -> Iterator[tuple[str | None, bytes]]:
    r"""Cut whole lines at the markers: (label of the block that begins, its bytes).

    The label is None for bytes that continue the block before.

    >>> list(split_at_markers(b"a\n--- source: x log\nb\n"))
    [(None, b'a\n'), ('x log', b'b\n')]
    """
    start, label = 0, None
    if MARKER_WORD.encode() in chunk:
        for marker in _MARKER.finditer(chunk):
            if marker.start() > start or label is not None:
                yield label, chunk[start : marker.start()]
            start = marker.end()
            label = marker.group(1).decode("utf-8", "replace").strip()
    if start < len(chunk) or label is not None:
        yield label, chunk[start:]
