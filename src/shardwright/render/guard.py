"""Group life without an operator: a watch beside each member, and a liveness probe that asks it."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

from shardwright.model.launch import ConfigFiles, LaunchPlan, Mount, VolumeKind
from shardwright.model.process import ExecCheck, Probe, Probes
from shardwright.model.text import text
from shardwright.render.names import object_name
from shardwright.render.script import Step
from shardwright.render.symbols import Symbols

PORT = 29599
FOLDER = "/etc/shardwright"
BROKEN = "/tmp/shardwright-group-broken"  # noqa: S108  (in the container; gone when it restarts)


def guard_config(plan: LaunchPlan) -> ConfigFiles:
    """Name the file the watch is in."""
    script = files("shardwright.render.pods").joinpath("group.py").read_text(encoding="utf-8")
    return ConfigFiles(
        name=object_name("ConfigMap", plan.name, "guard"), files=(("group.py", script),)
    )


def guard_mount(plan: LaunchPlan) -> Mount:
    """Mount the watch into a member."""
    return Mount(
        volume="guard",
        kind=VolumeKind.CONFIG,
        path=FOLDER,
        source=guard_config(plan).name,
        is_read_only=True,
    )


def guard_step(symbols: Symbols) -> Step:
    """Start the watch before the engine; the container ends if it does."""
    index = symbols.shell_value(symbols.member_index)
    leader = symbols.shell_value(symbols.leader_host)
    return Step(
        command=f"python3 {FOLDER}/group.py --index={index} --leader={leader}"
        f" --port={PORT} --broken-file={BROKEN}",
        stays=True,
    )


def guarded(probes: Probes) -> Probes:
    """Replace the liveness probe: it fails once the group is broken, whatever the engine says.

    The engine itself ends when it fails, and with it the container, so nothing is lost.
    """
    argv = (text("/bin/bash"), text("-c"), text(f"! cat {BROKEN} 2>/dev/null"))
    liveness = Probe(check=ExecCheck(argv=argv), period_s=5, timeout_s=5, failures=1)
    return replace(probes, liveness=liveness)
