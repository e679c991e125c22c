"""What must be true of this machine before a rehearsal starts anything: facts in, errors out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shardwright.model.errors import ExitCode, ShardwrightError
from shardwright.model.launch import LaunchPlan
from shardwright.model.units import GIB, MIB, gib

# Measured with vLLM 0.32.0, TP=2 PP=2 over two members: 1.9 GiB per member of two ranks, 8 MiB of
# /dev/shm per member in use; doubled, since a first request grows both.
MEMORY_PER_MEMBER = 1 * GIB
MEMORY_PER_RANK = 1 * GIB
SHM_PER_RANK = 16 * MIB
RANKS_PER_CORE = 4
"""More than this and start-up timeouts of the engine itself come into reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What this machine offers. listening: TCP port -> the program that listens on it."""

    system: str
    architecture: str
    cores: int
    cpu_flags: frozenset[str]
    memory_available_bytes: int
    shm_free_bytes: int
    listening: Mapping[int, str]
    programs: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a rehearsal needs besides the plan. programs: executables of the engine's environment.

    cpu_flags: by architecture, instructions without which the engine dies (names of /proc/cpuinfo).
    """

    is_isolated: bool
    programs: tuple[str, ...]
    cpu_flags: Mapping[str, tuple[str, ...]]


def obstacles(plan: LaunchPlan, needs: Needs, machine: Machine) -> tuple[ShardwrightError, ...]:
    """Name everything that would make the rehearsal fail, gravest first."""
    ranks = sum(len(member.ranks) for member in plan.group.members)
    found = [
        _platform(machine, needs),
        _programs(machine, needs),
        _memory(machine, ranks, len(plan.group.members)),
        _cores(machine, ranks),
    ]
    if not needs.is_isolated:
        found += [_shm(machine, ranks), *(_port(plan, machine))]
    return tuple(error for error in found if error is not None)


def _platform(machine: Machine, needs: Needs) -> ShardwrightError | None:
    if machine.system != "Linux" or machine.architecture not in needs.cpu_flags:
        return _obstacle(
            "platform-not-rehearsed",
            f"engines for {machine.system} on {machine.architecture} are not packaged for CPUs",
            "rehearse on Linux with x86_64 or aarch64: a container, a virtual machine, CI",
        )
    missing = sorted(set(needs.cpu_flags[machine.architecture]) - machine.cpu_flags)
    if missing:
        return _obstacle(
            "cpu-too-old",
            f"this CPU lacks instructions that the engine is compiled for: {', '.join(missing)}",
            "rehearse on a newer machine; the engine would die with an illegal instruction",
        )
    return None


def _programs(machine: Machine, needs: Needs) -> ShardwrightError | None:
    missing = sorted(set(needs.programs) - machine.programs)
    if not missing:
        return None
    return _obstacle(
        "engine-incomplete",
        f"the engine's environment has no {', '.join(missing)}",
        "repair it with `shardwright engines install`, or point SHARDWRIGHT_VLLM to another one",
    )


def _memory(machine: Machine, ranks: int, members: int) -> ShardwrightError | None:
    needed = ranks * MEMORY_PER_RANK + members * MEMORY_PER_MEMBER
    if machine.memory_available_bytes >= needed:
        return None
    return _obstacle(
        "memory-too-small",
        f"{ranks} ranks need about {gib(needed)}; {gib(machine.memory_available_bytes)} is free",
        "free some memory, or rehearse fewer ranks with --ranks",
    )


def _cores(machine: Machine, ranks: int) -> ShardwrightError | None:
    if machine.cores * RANKS_PER_CORE >= ranks:
        return None
    return _obstacle(
        "cores-too-few",
        f"{ranks} ranks on {machine.cores} core(s) would run into the engine's own timeouts",
        f"rehearse at most {machine.cores * RANKS_PER_CORE} ranks here with --ranks",
    )


def _shm(machine: Machine, ranks: int) -> ShardwrightError | None:
    needed = ranks * SHM_PER_RANK
    if machine.shm_free_bytes >= needed:
        return None
    return _obstacle(
        "shm-too-small",
        f"{ranks} ranks need {needed // MIB} MiB of /dev/shm; "
        f"{machine.shm_free_bytes // MIB} MiB is free",
        "in a container start it with --shm-size=1g; else remove what lies in /dev/shm",
    )


def _port(plan: LaunchPlan, machine: Machine) -> list[ShardwrightError | None]:
    return [
        _obstacle(
            "port-in-use",
            f"port {port.number}, which {process.name} of member {member.index} listens on, "
            f"is taken by {machine.listening[port.number]}",
            "stop that program, or rehearse with --nodes namespaces, where every port is free",
        )
        for member in plan.group.members
        for process in member.processes
        for port in process.ports
        if port.number in machine.listening
    ]


def _obstacle(code: str, what: str, remedy: str) -> ShardwrightError:
    return ShardwrightError(code=code, what=what, remedy=remedy, exit_code=ExitCode.FAILURE)
