"""Programs that start other programs: prefixes such as `exec`, `ray start`, and mpirun."""

from __future__ import annotations

import re

from shardwright.lint.command.invocation import RayStart, Site, host_of
from shardwright.lint.reading import integer

RAY_PORT = 6379
"""Ray's GCS port unless told otherwise."""

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_BARE_PREFIXES = frozenset(
    {"exec", "nohup", "sudo", "time", "command", "eval", "setsid", "dumb-init", "--"}
)
_OPTION_PREFIXES = {
    "env": frozenset({"-u", "-C"}),
    "tini": frozenset({"-p", "-e"}),
    "timeout": frozenset({"-k", "-s"}),
    "nice": frozenset({"-n"}),
    "ionice": frozenset({"-c", "-n"}),
    "stdbuf": frozenset({"-o", "-e", "-i"}),
    "numactl": frozenset({"-N", "-m", "-C"}),
    "taskset": frozenset({"-c"}),
    "nsys": frozenset({"-o", "-t"}),
}
_ONE_OPERAND = frozenset({"timeout", "taskset"})
_RUNNERS = {("uv", "run"): 2, ("poetry", "run"): 2, ("pixi", "run"): 2, ("nsys", "profile"): 2}


def strip_prefixes(words: tuple[str, ...]) -> tuple[str, ...]:
    """Drop what merely starts another program.

    >>> strip_prefixes(("exec", "env", "A=1", "timeout", "-k", "5", "60", "vllm", "serve"))
    ('vllm', 'serve')
    """
    at = 0
    while at < len(words):
        name = words[at].rpartition("/")[2]
        if name in _BARE_PREFIXES or (at and _ASSIGNMENT.fullmatch(words[at])):
            at += 1
        elif tuple(words[at : at + 2]) in _RUNNERS:
            at += 2
        elif name in _OPTION_PREFIXES:
            at = _after_options(words, at + 1, name)
        else:
            break
    return words[at:]


def _after_options(words: tuple[str, ...], at: int, name: str) -> int:
    takes_value = _OPTION_PREFIXES[name]
    while at < len(words) and (words[at].startswith("-") or _ASSIGNMENT.fullmatch(words[at])):
        at += 2 if words[at] in takes_value else 1
    return at + 1 if name in _ONE_OPERAND else at


def read_ray(words: tuple[str, ...], site: Site, *, is_conditional: bool) -> RayStart | None:
    """Read `ray start`, or vLLM's multi-node-serving.sh which wraps it; None for others."""
    name = words[0].rpartition("/")[2]
    if name == "multi-node-serving.sh":
        return _read_wrapper(words, site, is_conditional=is_conditional)
    if name != "ray" or words[1:2] != ("start",):
        return None
    options = _options(words[2:])
    return RayStart(
        is_head="--head" in options,
        address=options.get("--address", ""),
        port=integer(options.get("--port")) or RAY_PORT,
        blocks="--block" in options,
        is_conditional=is_conditional,
        site=site,
        num_gpus=integer(options.get("--num-gpus")),
    )


def _read_wrapper(words: tuple[str, ...], site: Site, *, is_conditional: bool) -> RayStart | None:
    options = _options(words[2:])
    role = words[1] if len(words) > 1 else ""
    if role not in {"leader", "worker"}:
        return None
    port = integer(options.get("--ray-port")) or RAY_PORT
    address = options.get("--ray-address", "")
    if address and host_of(address)[1] is None:
        address = f"{address}:{port}"
    return RayStart(
        is_head=role == "leader",
        address=address,
        port=port,
        blocks=role == "worker",
        is_conditional=is_conditional,
        site=site,
    )


def _options(words: tuple[str, ...]) -> dict[str, str]:
    """Read `--name=value`, `--name value` and `--switch`; a switch maps to ""."""
    found: dict[str, str] = {}
    last = ""
    for word in words:
        if word.startswith("-"):
            last, _, value = word.partition("=")
            last = last.replace("_", "-")
            found[last] = value
        elif last and not found[last]:
            found[last] = word
    return found


_MPI_TWO_VALUES = frozenset({"-mca", "--mca", "-gmca", "--gmca"})
_MPI_ONE_VALUE = frozenset(
    {
        "-x", "-H", "--host", "-host", "--hostfile", "-hostfile", "--machinefile", "-machinefile",
        "-bind-to", "--bind-to", "-map-by", "--map-by", "-wdir", "--wdir", "-N", "-npernode",
        "--npernode", "-output-filename", "--output-filename", "--prefix", "-rf", "--rank-by",
    }
)  # fmt: skip
_MPI_COUNT = frozenset({"-n", "-np", "-c", "--n", "--np"})


def split_mpirun(words: tuple[str, ...]) -> list[tuple[int | None, tuple[str, ...]]]:
    """Split an mpirun line into its programs with the ranks of each; None: as many as slots.

    >>> split_mpirun(("mpirun", "-n", "1", "a", ":", "-n", "7", "--allow-run-as-root", "b", "c"))
    [(1, ('a',)), (7, ('b', 'c'))]
    """
    parts: list[tuple[int | None, tuple[str, ...]]] = []
    at = 1
    while at < len(words):
        ranks: int | None = None
        while at < len(words) and words[at].startswith("-"):
            option = words[at]
            if option in _MPI_COUNT:
                ranks = integer(words[at + 1]) if at + 1 < len(words) else None
                at += 2
            else:
                at += 3 if option in _MPI_TWO_VALUES else 2 if option in _MPI_ONE_VALUE else 1
        end = words.index(":", at) if ":" in words[at:] else len(words)
        if words[at:end]:
            parts.append((ranks, words[at:end]))
        at = end + 1
    return parts
