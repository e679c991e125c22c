"""`shardwright deploy`: preflight, apply, watch to ready, verify; the way back when it fails."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.cluster import change_line, cluster_options, finding_lines
from shardwright.cli.holding import holding, lock_of
from shardwright.cli.options import output_option, print_json, spec_argument
from shardwright.model.errors import ExitCode, usage_error

if TYPE_CHECKING:
    from shardwright.cli.rollout_output import Teller
    from shardwright.deploy.changes import ObjectChange
    from shardwright.deploy.outcome import Outcome
    from shardwright.deploy.slots import Slot
    from shardwright.deploy.strategy import Strategy, Way
    from shardwright.launch.transport import PlannedLinks
    from shardwright.model.cluster import Cluster, Object
    from shardwright.model.finding import Finding
    from shardwright.model.launch import LaunchPlan
    from shardwright.model.plan import Plan

WAYS = ("auto", "beside", "stop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is deployed: the launch plan, the plan it came from, and the links it counts on."""

    launch: LaunchPlan
    plan: Plan
    links: PlannedLinks


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What will be applied, in which slot, and how."""

    slot: Slot
    objects: tuple[Object, ...]
    changes: tuple[ObjectChange, ...]
    strategy: Strategy


@click.command()
@spec_argument
@cluster_options
@click.option("--dry-run", is_flag=True, help="Check and show what would change; apply nothing.")
@click.option("--rollback/--keep", default=True, help="After a failure: go back, or leave it.")
@click.option(
    "--update",
    type=click.Choice(WAYS),
    default="auto",
    show_default=True,
    help="A new group beside the old one where GPUs are free, or stop, then start.",
)
@click.option("-y", "--yes", is_flag=True, help="Stop serving pods without asking.")
@click.option(
    "--schedule-timeout",
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="How long pods may wait for nodes; raise it where an autoscaler adds them.",
)
@click.option(
    "--evidence",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for logs and events of a failure; default: NAME-evidence.",
)
@output_option
def command(
    spec: Path, kubeconfig: Path | None, context: str | None, dry_run: bool, rollback: bool,
    update: str, yes: bool, schedule_timeout: int, evidence: Path | None, output: str,
) -> int:  # fmt: skip
    """Deploy SPEC.yaml and wait until it serves. A second run goes on, or changes nothing."""
    from shardwright.cli.rollout_json import as_json
    from shardwright.cli.rollout_output import Teller, outcome_lines
    from shardwright.deploy.jobs import steps
    from shardwright.drive.kube import connect

    deployment = deployment_of(spec)
    launch = deployment.launch
    teller = Teller()
    with connect(kubeconfig, context) as cluster, ExitStack() as stack:
        lock = lock_of(cluster, (launch.name, launch.namespace), "deploy", teller)
        held: Cluster = cluster

        def hold() -> None:
            nonlocal held
            held = stack.enter_context(holding(lock))

        findings, decision = look(
            cluster, deployment, update, schedule_timeout, None if dry_run else hold
        )
        for each in findings:
            click.echo("\n".join(finding_lines(each)), err=True)
        if decision is None:
            if output == "json":
                print_json("deployment", as_json(findings, (), None, None))
            return ExitCode.VERDICT_NO
        outcome = None
        if not dry_run:
            _say(launch, decision)
            _confirm(decision, yes=yes)
            with _saying_what_stays(launch):
                outcome = roll_out(
                    held, deployment, decision, schedule_timeout,
                    rollback=rollback, teller=teller,
                )  # fmt: skip
    if outcome is not None and outcome.evidence:
        from shardwright.cli.render import write_files

        write_files(evidence or Path(f"{launch.name}-evidence"), outcome.evidence)
    if output == "json":
        body = as_json(findings, decision.changes, decision.strategy, outcome, teller.told)
        print_json("deployment", body)
    elif outcome is None:
        click.echo(f"{decision.strategy.way.value}: {decision.strategy.reason}")
        lines = (*map(change_line, decision.changes), *steps(decision.objects, decision.changes))
        click.echo("\n".join(lines))
    else:
        click.echo("\n".join(outcome_lines(outcome)))
    return _exit_code(outcome)


def _exit_code(outcome: Outcome | None) -> ExitCode:
    if outcome is None:
        return ExitCode.DONE
    if outcome.result.value == "failed":
        return ExitCode.FAILURE
    differs = outcome.verification is not None and outcome.verification.problems
    return ExitCode.VERDICT_NO if differs else ExitCode.DONE


def deployment_of(spec: Path) -> Deployment:
    """Read a spec and plan what is deployed."""
    from shardwright.cli.resolve import resolve
    from shardwright.launch.build import build_launch_plan
    from shardwright.launch.transport import planned_links
    from shardwright.planner.plan import make_plan

    resolved = resolve(spec)
    request = resolved.request
    plan = make_plan(request, resolved.shape)
    launch = build_launch_plan(request, resolved.shape, plan)
    return Deployment(
        launch=launch,
        plan=plan,
        links=planned_links(request, len(launch.group.members), launch.group.members[0].gpus),
    )


def look(
    cluster: Cluster, deployment: Deployment, update: str, schedule_s: float,
    hold: Callable[[], None] | None = None,
) -> tuple[tuple[Finding, ...], Decision | None]:  # fmt: skip
    """Run preflight and decide how the change is made; None if it cannot be.

    hold: keeps others from changing the endpoint, called before it is read for the decision.
    """
    from shardwright.deploy.dry_run import planned_changes
    from shardwright.deploy.preflight import preflight, room_beside
    from shardwright.deploy.removal import find_inventory
    from shardwright.deploy.rotation import marked
    from shardwright.deploy.slot_objects import slot_objects
    from shardwright.deploy.slots import Slot
    from shardwright.deploy.strategy import Room, Way, choose
    from shardwright.deploy.target import target_of
    from shardwright.model.finding import Severity

    launch = deployment.launch
    target = target_of(launch, schedule_s)
    findings = preflight(cluster, launch, slot_objects(launch, Slot.OWN))
    if any(each.severity is Severity.ERROR for each in findings):
        return findings, None
    if hold is not None:
        hold()
    record = find_inventory(cluster, launch.name, launch.namespace)
    slot = Slot.OWN if record is None else record.filled_slot
    objects = marked(cluster, slot_objects(launch, slot))
    changes = planned_changes(cluster, target, objects)
    asked: dict[str, Way] = {"beside": Way.BESIDE, "stop": Way.STOP_THEN_START}
    # a first deployment is beside nobody: the whole cluster's nodes and pods need not be read again
    serves = record is not None and record.revision
    room = room_beside(cluster, launch) if serves else Room(num_slots=None, is_shared_storage=False)
    strategy = choose(launch, changes, record, room, asked=asked.get(update))
    if strategy.way is Way.BESIDE and record is not None and slot.value == record.slot:
        slot = slot.other
        objects = marked(cluster, slot_objects(launch, slot))
        changes = planned_changes(cluster, target, objects)
    return findings, Decision(slot=slot, objects=objects, changes=changes, strategy=strategy)


def roll_out(
    cluster: Cluster, deployment: Deployment, decision: Decision, schedule_s: float, *,
    rollback: bool, teller: Teller | None = None,
) -> Outcome:  # fmt: skip
    """Make the change and say how it ended."""
    from shardwright.cli.rollout_output import Teller
    from shardwright.deploy.rollout import Rollout
    from shardwright.deploy.target import target_of
    from shardwright.deploy.verification import Verifier
    from shardwright.drive.clock import SystemClock

    clock, teller = SystemClock(), teller or Teller()
    verifier = Verifier(
        cluster, clock, deployment.launch, deployment.plan,
        links=deployment.links, tell=teller.check,
    )  # fmt: skip
    target = target_of(deployment.launch, schedule_s)
    return Rollout(cluster, clock, target, teller, verifier).deploy(
        decision.objects, decision.changes, rollback=rollback, slot=decision.slot
    )


@contextmanager
def _saying_what_stays(launch: LaunchPlan) -> Iterator[None]:
    """Say what becomes of a deployment whose watching is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(
            f"\nwhat was applied of {launch.name} stays and goes on starting: the same command "
            f"goes on with it, shardwright delete {launch.name} -n {launch.namespace} removes it",
            err=True,
        )
        raise


def _say(launch: LaunchPlan, decision: Decision) -> None:
    """Say what will happen before it does."""
    from shardwright.deploy.changes import Verb
    from shardwright.deploy.jobs import steps

    click.echo(f"{launch.name}: {decision.strategy.reason}", err=True)
    serving = decision.strategy.way.value not in ("first", "nothing")
    for change in decision.changes if serving else ():
        if change.verb is not Verb.KEEP:
            click.echo(f"  {change_line(change)}", err=True)
    for step in steps(decision.objects, decision.changes):
        click.echo(f"  {step}", err=True)


def _confirm(decision: Decision, *, yes: bool) -> None:
    if decision.strategy.way.value != "stop-then-start" or yes:
        return
    if not sys.stdin.isatty():
        raise usage_error(
            "restart-not-confirmed",
            "this change stops the serving pods before the new ones start",
            cause=decision.strategy.reason,
            remedy="pass --yes, or wait until GPUs are free for a second group",
        )
    click.confirm("The endpoint stops serving until the new pods are ready. Go on?", abort=True)
