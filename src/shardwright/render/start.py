"""The command line of a member's container: one program as it is, several as a script."""

from __future__ import annotations

from shardwright.model.launch import LaunchPlan, Member
from shardwright.model.process import EnvVar, Per, Process, TcpCheck
from shardwright.model.text import SecretValue
from shardwright.render.emit import Object
from shardwright.render.script import Step, script
from shardwright.render.symbols import Symbols


def start_fields(
    before: tuple[Step, ...], member: Member, symbols: Symbols, after: tuple[Step, ...] = ()
) -> Object:
    """Write command and args of a container: steps, the member's processes, further steps.

    Processes per rank are not among them: the MPI world starts those.
    """
    processes = [process for process in member.processes if process.per is Per.MEMBER]
    if not before and not after and len(processes) == 1:
        return {"command": [symbols.word(words) for words in processes[0].argv]}
    own = tuple(_step(process, symbols) for process in processes)
    # the script itself uses ${NAME} only; a $( in it is the user's own text, not the kubelet's
    text = script((*before, *own, *after)).replace("$(", "$$(")
    return {"command": ["/bin/bash", "-c"], "args": [text]}


def environment(plan: LaunchPlan, member: Member) -> tuple[EnvVar, ...]:
    """Environment of the member's container: that of all its processes, each name once.

    A member without processes is a Ray node: Ray starts the leader's engine there, which copies
    some variables and not others (GLOO_SOCKET_IFNAME), so it gets all but the leader's secrets.
    """
    own = [var for process in member.processes for var in process.env]
    if not member.processes:
        own = [
            var
            for process in plan.group.members[0].processes
            for var in process.env
            if not any(isinstance(word, SecretValue) for word in var.value)
        ]
    return tuple({var.name: var for var in own}.values())


def _step(process: Process, symbols: Symbols) -> Step:
    startup = process.probes.startup
    opens = None
    if startup is not None and isinstance(startup.check, TcpCheck):
        opens = next(port.number for port in process.ports if port.name == startup.check.port)
    return Step(
        command=" ".join(symbols.shell(words) for words in process.argv),
        stays=not process.is_setup,
        opens=opens,
        patience_s=startup.budget_s if startup else 0,
    )
