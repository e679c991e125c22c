"""Group life: a watch beside each member, and what asks it: a liveness probe, and preStop."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.resources import files

from shardwright.model.launch import LaunchPlan, Member, Role
from shardwright.model.process import ExecCheck, HttpCheck, Probe, Probes
from shardwright.model.text import text
from shardwright.model.volumes import ConfigFiles, Mount, VolumeKind
from shardwright.render.emit import Object
from shardwright.render.names import object_name
from shardwright.render.pod import Wiring, own_probes
from shardwright.render.script import Step
from shardwright.render.storage import config_object
from shardwright.render.symbols import Symbols

PORT = 29599
FOLDER = "/etc/shardwright"
BROKEN = "/tmp/shardwright-group-broken"  # noqa: S108  (in the container; gone when it restarts)
LEAVING = "/tmp/shardwright-group-leaving"  # noqa: S108
OUTLIVE_S = 15
"""Seconds a follower waits for its leader beyond the requests' time, so that it ends after it."""


def guard_objects(plan: LaunchPlan) -> list[Object]:
    """Write the files of the watch; nothing for a group of one member, which cannot break."""
    return [config_object(plan, _config(plan))] if len(plan.group.members) > 1 else []


def guarded(
    plan: LaunchPlan, member: Member, wiring: Wiring, symbols: Symbols | None = None
) -> Wiring:
    """Put the watch into a member of a group: ahead of its other steps, and behind its liveness.

    Who is told to end waits in preStop, before anything in the pod is stopped, until the watch of
    the leader sees no request left. The leader's readiness fails meanwhile, since the one that is
    told to end may be another member, and Services go on sending to a pod that is not.

    symbols: how the watch names the member and its leader, where the wiring's cannot.
    """
    if len(plan.group.members) == 1:
        return wiring
    own = wiring.probes or own_probes(member)
    by = symbols or wiring.symbols
    watch = _watch(plan, member, own.liveness, by)
    return replace(
        wiring,
        before=(watch, *wiring.before),
        probes=_watched(member, own),
        mounts=(_mount(plan),),
        pre_stop=_leave(plan, member, by),
    )


def _config(plan: LaunchPlan) -> ConfigFiles:
    name = object_name("ConfigMap", plan.name, "guard")
    return ConfigFiles(name=name, files=tuple((each, _program(each)) for each in _PROGRAMS))


def _mount(plan: LaunchPlan) -> Mount:
    return Mount(
        volume="guard",
        kind=VolumeKind.CONFIG,
        path=FOLDER,
        source=_config(plan).name,
        is_read_only=True,
    )


def _watch(plan: LaunchPlan, member: Member, liveness: Probe | None, symbols: Symbols) -> Step:
    """Start the watch before the engine; the container ends if it does."""
    index = symbols.shell_value(symbols.member_index)
    leader = symbols.shell_value(symbols.leader_host)
    words = [
        f"python3 {FOLDER}/group.py --index={index} --leader={leader}",
        f"--port={PORT} --broken-file={BROKEN}",
    ]
    if liveness is not None and isinstance(liveness.check, HttpCheck):
        words += _health(member, liveness, liveness.check)
        words += _requests(plan, member)
    return Step(command=" ".join(words), stays=True)


def _health(member: Member, liveness: Probe, check: HttpCheck) -> list[str]:
    """Have the watch ask what the liveness probe asked, as often and with the same patience."""
    return [
        f"--health-port={_ports(member)[check.port]} --health-path={check.path}",
        f"--health-period-s={liveness.period_s} --health-timeout-s={liveness.timeout_s}",
        f"--health-patience-s={liveness.budget_s}",
    ]


def _requests(plan: LaunchPlan, member: Member) -> list[str]:
    """Tell the watch of the leader how to count the requests in flight."""
    endpoint = plan.endpoints[0]
    counted = [f"--gauges {' '.join(endpoint.gauges)}"] if endpoint.gauges else []
    port = _ports(member)[endpoint.port]
    return [f"--leaving-file={LEAVING} --metrics-port={port}", *counted]


def _leave(plan: LaunchPlan, member: Member, symbols: Symbols) -> str:
    """Write the preStop of a member, a line of shell."""
    is_leader = member.role is Role.LEADER
    limit_s = plan.budgets.requests_s + (0 if is_leader else OUTLIVE_S)
    leader = "127.0.0.1" if is_leader else symbols.shell_value(symbols.leader_host)
    # a member of a broken group ends by its liveness probe, and its leader may be a new one
    words = f"python3 {FOLDER}/leave.py --leader={leader} --port={PORT} --limit-s={limit_s}"
    return f"[[ -e {BROKEN} ]] || {words}"


def _watched(member: Member, probes: Probes) -> Probes:
    """Replace the liveness probe: it fails once the watch found the group broken, for any cause.

    The readiness probe of a member that serves HTTP asks the same as before, unless it is leaving.
    """
    liveness = Probe(
        check=_shell(f"! cat {BROKEN} 2>/dev/null"), period_s=5, timeout_s=5, failures=1
    )
    ready = probes.readiness
    if ready is not None and isinstance(ready.check, HttpCheck):
        port = _ports(member)[ready.check.port]
        ready = replace(ready, check=_shell(_serves(port, ready.check.path)))
    return replace(probes, liveness=liveness, readiness=ready)


def _serves(port: int, path: str) -> str:
    """Ask for a path over HTTP in bash alone, which every image has."""
    return (
        f"[[ ! -e {LEAVING} ]] && exec 3<>/dev/tcp/127.0.0.1/{port}"
        f" && printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' >&3"
        " && read -r _ status _ <&3 && [[ $status == [23]* ]]"
    )


def _shell(line: str) -> ExecCheck:
    return ExecCheck(argv=(text("/bin/bash"), text("-c"), text(line)))


def _ports(member: Member) -> dict[str, int]:
    return {port.name: port.number for process in member.processes for port in process.ports}


_PROGRAMS = ("group.py", "leave.py")


@cache
def _program(name: str) -> str:
    return files("shardwright.render.pods").joinpath(name).read_text(encoding="utf-8")
