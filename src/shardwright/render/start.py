"""The command line of a member's container: one program as it is, several as a script."""

from __future__ import annotations

from shardwright.model.launch import LaunchPlan, Member, Ray, Role
from shardwright.model.process import EnvVar, Process, TcpCheck
from shardwright.model.text import SecretValue
from shardwright.render.emit import Object
from shardwright.render.script import Step, script
from shardwright.render.symbols import Symbols


def start_fields(steps: tuple[Step, ...], member: Member, symbols: Symbols) -> Object:
    """Write command and args of a container that runs steps and then the member's processes."""
    if not steps and len(member.processes) == 1:
        return {"command": [symbols.word(words) for words in member.processes[0].argv]}
    own = tuple(_step(process, symbols) for process in member.processes)
    # the script itself uses ${NAME} only; a $( in it is the user's own text, not the kubelet's
    text = script((*steps, *own)).replace("$(", "$$(")
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


def ray_steps(plan: LaunchPlan, member: Member, symbols: Symbols) -> tuple[Step, ...]:
    """Start Ray on a member: the head on the leader, elsewhere a node that joins it.

    A worker waits until the head answers, since `ray start` gives up early on a head that is not
    there yet; neither starts on an image without Ray, which no recent vLLM image has.
    """
    ray = plan.group.rendezvous
    if not isinstance(ray, Ray):
        return ()
    patience = plan.budgets.rendezvous_s
    gpus = f"--num-gpus={member.gpus} --disable-usage-stats --block"
    if member.role is Role.LEADER:
        head = f'ray start --head --node-ip-address="${{POD_IP}}" --port={ray.port} {gpus}'
        return (RAY_PRESENT, Step(command=head, stays=True, opens=ray.port, patience_s=patience))
    host = symbols.shell_value(symbols.leader_host)
    join = f'ray start --address={host}:{ray.port} --node-ip-address="${{POD_IP}}" {gpus}'
    return (
        RAY_PRESENT,
        Step(command=join, stays=True, needs=(host, ray.port), patience_s=patience),
    )


RAY_PRESENT = Step(
    command="command -v ray >/dev/null"
    ' || { echo "this image has no Ray: take one that has, or a Ray-free launch" >&2; exit 1; }',
    stays=False,
)
