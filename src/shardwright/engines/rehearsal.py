"""What a rehearsal must know of an engine: which flags scale it down, and how it names its ranks.

One value per engine that can run on a CPU; `shardwright.rehearse` reads it and knows no engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shardwright.model.process import EnvVar


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagRule:
    """A flag that is set (value) or dropped (None) because a CPU engine cannot have it.

    names: equivalent spellings. is_added: set it even where the plan does not have it.
    """

    names: tuple[str, ...]
    value: str | None
    why: str
    not_proved: str
    is_added: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A log line that means something for the deployment too; the finding's words are ours."""

    pattern: str
    code: str
    what: str
    why: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """How an engine is rehearsed on a CPU.

    tensor, pipeline, length: spellings of the flags for TP, PP and the longest request in tokens;
    meeting: those that tell members how to meet. env: the CPU engine's environment; partition_env:
    the variable that fixes the layers of each stage; ranks_env: the one that says how many ranks a
    member has; cache_envs: where it and its libraries keep what they have worked out. plugin:
    directory in this package that goes on its PYTHONPATH. programs: executables it must have;
    cpu_flags: by architecture, the instructions it is compiled for, as /proc/cpuinfo names them.

    rank_pattern: the log line of a rank, with groups `rank`, `pid`, `local` and, where the line
    names it, `address`; role_pattern: any later line of it, with `pid`, `pipeline`, `tensor`;
    layers_pattern: with `rank`, `first`, `last`; evidence_pattern: lines worth showing when a
    process has died.
    """

    programs: tuple[str, ...]
    tensor: tuple[str, ...]
    pipeline: tuple[str, ...]
    length: tuple[str, ...]
    meeting: tuple[tuple[str, ...], ...]
    flags: tuple[FlagRule, ...]
    env: tuple[EnvVar, ...]
    cpu_flags: Mapping[str, tuple[str, ...]]
    partition_env: str
    ranks_env: str
    cache_envs: tuple[str, ...]
    plugin: str
    rank_pattern: str
    role_pattern: str
    layers_pattern: str
    evidence_pattern: str
    notices: tuple[Notice, ...] = ()
