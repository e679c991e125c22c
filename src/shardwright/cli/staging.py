"""From a spec to a scene: the small model written, the engine found, the machine checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shardwright.cli.resolve import published_config
from shardwright.drive.cache import cache_directory
from shardwright.drive.checkpoint import fingerprint, write_checkpoint
from shardwright.drive.environment import ensure
from shardwright.drive.machine import observe
from shardwright.engines import find_engine
from shardwright.launch.build import build_launch_plan
from shardwright.model.process import EnvVar
from shardwright.model.text import text
from shardwright.planner.plan import make_plan
from shardwright.rehearse.change import Change, Substitution
from shardwright.rehearse.coverage import refuse
from shardwright.rehearse.preflight import Needs, obstacles
from shardwright.rehearse.rendezvous import RAY, with_rendezvous
from shardwright.rehearse.scene import Scene, refuse_unrehearsed, rehearsed_layout
from shardwright.rehearse.shrink import SmallModel, shrink
from shardwright.rehearse.substitution import members_for, substitute

if TYPE_CHECKING:
    from shardwright.cli.progress import Progress
    from shardwright.cli.resolve import Resolved
    from shardwright.engines.rehearsal import Rehearsal
    from shardwright.model.launch import LaunchPlan
    from shardwright.model.layout import Layout

MAX_MODEL_LEN = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """What is deployed and what of it is rehearsed: fewer ranks of a small model.

    rules: how the engine is rehearsed. max_model_len: tokens, of the small model.
    """

    deployed: LaunchPlan
    deployed_layout: Layout
    layout: Layout
    rules: Rehearsal
    small: SmallModel
    max_model_len: int


def shrunk(resolved: Resolved, folder: Path, ranks: tuple[int, int] | None) -> Shrunk:
    """Decide what is rehearsed of a spec. Raises ShardwrightError for what cannot be."""
    request = resolved.request
    engine = find_engine(request.engine.name)
    plan = make_plan(request, resolved.shape)
    deployed = build_launch_plan(request, resolved.shape, plan)
    rules = refuse_unrehearsed(deployed, plan.layout, engine.rehearsal)
    layout = rehearsed_layout(plan.layout, ranks)
    published = published_config(request, folder)
    refuse(engine.name, published)
    return Shrunk(
        deployed=deployed,
        deployed_layout=plan.layout,
        layout=layout,
        rules=rules,
        small=shrink(published, plan.layout, layout, engine.split_layers),
        max_model_len=min(MAX_MODEL_LEN, plan.max_model_len),
    )


def stage(
    resolved: Resolved,
    folder: Path,
    ranks: tuple[int, int] | None,
    nodes: str,
    progress: Progress,
) -> Scene:
    """Prepare a rehearsal. Raises ShardwrightError for whatever would make it fail."""
    cut = shrunk(resolved, folder, ranks)
    deployed, layout, rules, small = cut.deployed, cut.layout, cut.rules, cut.small
    folder_of_small = _checkpoint(small)
    num_members = members_for(len(deployed.group.members), layout.gpus_per_replica)
    is_isolated = nodes == "namespaces"
    substitution = Substitution(
        tensor_parallel=layout.tensor_parallel,
        layers=small.layers,
        model_path=str(folder_of_small),
        max_model_len=cut.max_model_len,
        env=_engine_env(rules, layout.gpus_per_replica // num_members),
        interface="eth0" if is_isolated else "lo",
    )
    small_plan, changes = substitute(deployed, substitution, rules)
    small_plan = with_rendezvous(small_plan)
    _check(small_plan, rules, is_isolated, None)  # before an engine of several GB is fetched
    installed = ensure(resolved.request.engine.name, progress.say)
    home, version = installed.programs, installed.version
    _check(small_plan, rules, is_isolated, home)
    scene = Scene(
        deployed=deployed,
        plan=small_plan,
        changes=(*_version_change(deployed, version), *changes, *_narrowed(small)),
        rules=rules,
        env=_base_env(home),
        version=version,
        vocab_size=small.shape.vocab_size,
        model_path=str(folder_of_small),
        is_isolated=is_isolated,
    )
    progress.say(f"plan: {cut.deployed_layout}; here: {layout}, {scene.nodes}")
    progress.say(f"model: {folder_of_small}")
    return scene


def _check(plan: LaunchPlan, rules: Rehearsal, is_isolated: bool, home: Path | None) -> None:
    """Raise the gravest obstacle; home: the engine's executables, None: not looked at yet."""
    names = {process.name for member in plan.group.members for process in member.processes}
    programs = {*rules.programs, *({RAY} & names)} if home else set()
    needs = Needs(
        is_isolated=is_isolated,
        programs=tuple(sorted(programs)),
        cpu_flags=rules.cpu_flags,
    )
    found = obstacles(plan, needs, observe(home))
    if found:
        raise found[0]


def _checkpoint(small: SmallModel) -> Path:
    """Write the small model below the user's cache; the same model is written once."""
    folder = cache_directory() / "models" / fingerprint(small)
    write_checkpoint(small, folder)
    return folder


def _engine_env(rules: Rehearsal, ranks_per_member: int) -> tuple[EnvVar, ...]:
    plugin = Path(__file__).parents[1] / "engines" / rules.plugin
    return (
        *rules.env,
        EnvVar(
            name=rules.ranks_env,
            value=text(str(ranks_per_member)),
            why="a member has this many ranks where it would have GPUs",
        ),
        EnvVar(
            name="PYTHONPATH",
            value=text(str(plugin)),
            why="a CPU platform whose ranks are spread over nodes as GPUs are",
        ),
        *(
            EnvVar(
                name=name,
                value=text(str(cache_directory() / "compiled")),
                why="what one rehearsal has worked out, the next need not",
            )
            for name in rules.cache_envs
        ),
    )


def _base_env(home: Path) -> tuple[tuple[str, str], ...]:
    """What every process starts from: nothing of the user's own settings, as in a container."""
    kept = {name: os.environ[name] for name in ("USER", "LANG") if name in os.environ}
    path = os.pathsep.join((str(home), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"))
    return tuple(sorted({"LANG": "C.UTF-8", **kept, "PATH": path}.items()))


def _version_change(deployed: LaunchPlan, version: str) -> tuple[Change, ...]:
    if version == deployed.engine_version:
        return ()
    return (
        Change(
            path="engine_version",
            old=deployed.engine_version,
            new=version,
            why="the CPU engine that is at hand",
            not_proved=f"{deployed.engine} {deployed.engine_version} itself: its flags and changes",
        ),
    )


def _narrowed(small: SmallModel) -> tuple[Change, ...]:
    return tuple(
        Change(path=f"config.json {n.field}", old=str(n.published), new=str(n.small), why=n.why)
        for n in small.narrowed
    )
