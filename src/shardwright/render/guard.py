"""Group life: a watch beside each member, and a liveness probe that asks it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.resources import files

from shardwright.model.launch import LaunchPlan, Member
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


def guard_objects(plan: LaunchPlan) -> list[Object]:
    """Write the file the watch is in; nothing for a group of one member, which cannot break."""
    return [config_object(plan, _config(plan))] if len(plan.group.members) > 1 else []


def guarded(
    plan: LaunchPlan, member: Member, wiring: Wiring, symbols: Symbols | None = None
) -> Wiring:
    """Put the watch into a member of a group: ahead of its other steps, and behind its liveness.

    symbols: how the watch names the member and its leader, where the wiring's cannot.
    """
    if len(plan.group.members) == 1:
        return wiring
    own = wiring.probes or own_probes(member)
    watch = _watch(member, own.liveness, symbols or wiring.symbols)
    return replace(
        wiring, before=(watch, *wiring.before), probes=_watched(own), mounts=(_mount(plan),)
    )


def _config(plan: LaunchPlan) -> ConfigFiles:
    name = object_name("ConfigMap", plan.name, "guard")
    return ConfigFiles(name=name, files=(("group.py", _program()),))


def _mount(plan: LaunchPlan) -> Mount:
    return Mount(
        volume="guard",
        kind=VolumeKind.CONFIG,
        path=FOLDER,
        source=_config(plan).name,
        is_read_only=True,
    )


def _watch(member: Member, liveness: Probe | None, symbols: Symbols) -> Step:
    """Start the watch before the engine; the container ends if it does."""
    index = symbols.shell_value(symbols.member_index)
    leader = symbols.shell_value(symbols.leader_host)
    words = [
        f"python3 {FOLDER}/group.py --index={index} --leader={leader}",
        f"--port={PORT} --broken-file={BROKEN}",
    ]
    if liveness is not None and isinstance(liveness.check, HttpCheck):
        words += _health(member, liveness, liveness.check)
    return Step(command=" ".join(words), stays=True)


def _health(member: Member, liveness: Probe, check: HttpCheck) -> list[str]:
    """Have the watch ask what the liveness probe asked, as often and with the same patience."""
    ports = {port.name: port.number for process in member.processes for port in process.ports}
    return [
        f"--health-port={ports[check.port]} --health-path={check.path}",
        f"--health-period-s={liveness.period_s} --health-timeout-s={liveness.timeout_s}",
        f"--health-patience-s={liveness.budget_s}",
    ]


def _watched(probes: Probes) -> Probes:
    """Replace the liveness probe: it fails once the watch found the group broken, for any cause."""
    argv = (text("/bin/bash"), text("-c"), text(f"! cat {BROKEN} 2>/dev/null"))
    liveness = Probe(check=ExecCheck(argv=argv), period_s=5, timeout_s=5, failures=1)
    return replace(probes, liveness=liveness)


@cache
def _program() -> str:
    return files("shardwright.render.pods").joinpath("group.py").read_text(encoding="utf-8")
