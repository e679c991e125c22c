"""`shardwright deploy`: preflight, apply, watch to ready, verify; the way back when it fails."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shardwright.cli.cluster import change_json, change_line, cluster_options, finding_lines
from shardwright.cli.options import output_option, print_json, spec_argument
from shardwright.model.errors import ExitCode, usage_error

if TYPE_CHECKING:
    from shardwright.deploy.changes import ObjectChange
    from shardwright.deploy.rollout import Event, Outcome, Target
    from shardwright.model.cluster import Cluster, Object
    from shardwright.model.finding import Finding
    from shardwright.model.launch import LaunchPlan


@click.command()
@spec_argument
@cluster_options
@click.option("--dry-run", is_flag=True, help="Check and show what would change; apply nothing.")
@click.option("--rollback/--keep", default=True, help="After a failure: go back, or leave it.")
@click.option("-y", "--yes", is_flag=True, help="Restart serving pods without asking.")
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
    yes: bool, schedule_timeout: int, evidence: Path | None, output: str,
) -> int:  # fmt: skip
    """Deploy SPEC.yaml and wait until it serves. A second run goes on, or changes nothing."""
    from shardwright.cli.render import launch_plan
    from shardwright.deploy.preflight import preflight
    from shardwright.deploy.rollout import Target, planned_changes
    from shardwright.drive.kube import connect
    from shardwright.render.objects import kubernetes_objects

    plan = launch_plan(spec)
    objects = kubernetes_objects(plan)
    target = Target(
        name=plan.name,
        namespace=plan.namespace,
        num_pods=plan.replicas * len(plan.group.members),
        budgets=plan.budgets,
        schedule_s=schedule_timeout,
    )
    with connect(kubeconfig, context) as cluster:
        findings = preflight(cluster, plan, objects)
        _tell_findings(findings)
        if any(each.severity.value == "error" for each in findings):
            _print(output, findings, (), None)
            return ExitCode.VERDICT_NO
        changes = planned_changes(cluster, target, objects)
        if dry_run:
            _print(output, findings, changes, None)
            return ExitCode.DONE
        _confirm(changes, yes=yes)
        outcome = _roll_out(cluster, target, objects, changes, rollback=rollback)
        checked = _verify(cluster, plan) if outcome.result.value == "ready" else None
    if outcome.evidence:
        _write_evidence(evidence or Path(f"{plan.name}-evidence"), outcome)
    _print(output, findings, changes, outcome, checked)
    return ExitCode.FAILURE if outcome.result.value == "failed" else ExitCode.DONE


def _roll_out(
    cluster: Cluster, target: Target, objects: tuple[Object, ...],
    changes: tuple[ObjectChange, ...], *, rollback: bool,
) -> Outcome:  # fmt: skip
    from shardwright.deploy.rollout import Rollout
    from shardwright.drive.clock import SystemClock

    return Rollout(cluster, SystemClock(), target, tell_event).deploy(
        objects, changes, rollback=rollback
    )


def _verify(cluster: Cluster, plan: LaunchPlan) -> str:
    from shardwright.deploy.verification import first_completion

    return first_completion(cluster, plan)


def _tell_findings(findings: tuple[Finding, ...]) -> None:
    for each in findings:
        click.echo("\n".join(finding_lines(each)), err=True)


def _confirm(changes: tuple[ObjectChange, ...], *, yes: bool) -> None:
    restarted = [each for each in changes if each.restarts]
    if not restarted or yes:
        return
    for each in restarted:
        click.echo(change_line(each), err=True)
    if not sys.stdin.isatty():
        raise usage_error(
            "restart-not-confirmed",
            "this change stops the serving pods before the new ones start",
            remedy="pass --yes",
        )
    click.confirm("The endpoint stops serving until the new pods are ready. Go on?", abort=True)


def tell_event(event: Event) -> None:
    """Write one event of a rollout to stderr."""
    from shardwright.deploy.rollout import Done, Moved

    if isinstance(event, Moved):
        budget = f" (budget {event.budget_s:.0f} s)" if event.budget_s else ""
        detail = f": {event.pod.detail}" if event.pod.detail else ""
        where = f" on {event.pod.node}" if event.pod.node else ""
        click.echo(
            f"{event.after_s:6.0f} s  {event.pod.name} {event.pod.stage.value}{where}"
            f"{budget}{detail}",
            err=True,
        )
    elif isinstance(event, Done):
        click.echo(f"          {change_line(event.change)}", err=True)
    else:
        click.echo(f"          {event.text}", err=True)


def _write_evidence(folder: Path, outcome: Outcome) -> None:
    from shardwright.cli.render import write_files

    write_files(folder, outcome.evidence)


def _print(
    output: str, findings: tuple[Finding, ...], changes: tuple[ObjectChange, ...],
    outcome: Outcome | None, checked: str | None = None,
) -> None:  # fmt: skip
    if output == "json":
        print_json(_as_json(findings, changes, outcome, checked))
    elif outcome is None:
        for each in changes:
            click.echo(change_line(each))
    else:
        click.echo("\n".join(_outcome_lines(outcome, checked)))


def _outcome_lines(outcome: Outcome, checked: str | None) -> list[str]:
    from shardwright.diagnose.doctor import as_text

    if outcome.result.value == "unchanged":
        return [f"unchanged: revision {outcome.revision} is ready"]
    if outcome.result.value == "ready":
        return [
            f"ready: revision {outcome.revision} after {outcome.seconds:.0f} s",
            *([checked] if checked else []),
        ]
    lines = [f"failed after {outcome.seconds:.0f} s", *(f"  {each}" for each in outcome.problems)]
    if outcome.rolled_back_to is not None:
        back = f"revision {outcome.rolled_back_to}" if outcome.rolled_back_to else "nothing"
        lines.append(f"rolled back to {back}")
    if outcome.report is not None:
        lines.append(as_text(outcome.report))
    return lines


def _as_json(
    findings: tuple[Finding, ...], changes: tuple[ObjectChange, ...],
    outcome: Outcome | None, checked: str | None,
) -> dict[str, Any]:  # fmt: skip
    from shardwright.diagnose.doctor import as_json

    out: dict[str, Any] = {
        "findings": [
            {"code": f.code, "severity": f.severity.value, "what": f.what, "remedy": f.remedy}
            for f in findings
        ],
        "changes": [change_json(each) for each in changes],
    }
    if outcome is not None:
        out |= {
            "result": outcome.result.value,
            "revision": outcome.revision,
            "seconds": round(outcome.seconds, 1),
            "problems": list(outcome.problems),
            "rolledBackTo": outcome.rolled_back_to,
            "verified": checked,
            "diagnosis": as_json(outcome.report) if outcome.report else None,
        }
    return out
