"""`shardwright preflight`: what would keep a deployment from starting; --hardware measures too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shardwright.cli.cluster import cluster_options, finding_lines
from shardwright.cli.options import output_option, print_json, spec_argument, terminal_width
from shardwright.model.errors import ExitCode

if TYPE_CHECKING:
    from shardwright.cli.resolve import Resolved
    from shardwright.deploy.hardware import Checked
    from shardwright.model.cluster import Cluster
    from shardwright.model.finding import Finding
    from shardwright.model.launch import LaunchPlan
    from shardwright.verify.hardware import HardwareVerdict


@click.command()
@spec_argument
@cluster_options
@click.option(
    "--hardware",
    is_flag=True,
    help="Run a Job on the nodes the group would use and measure GPUs, links, memory and names.",
)
@click.option("--image", help="Image of the check; default: the engine's own.")
@click.option(
    "--cpu",
    "cpu_ranks",
    type=click.IntRange(1, 64),
    metavar="RANKS",
    help="Try the check itself without GPUs: so many ranks per pod over Gloo.",
)
@click.option(
    "--seconds",
    type=click.IntRange(30, 3600),
    help="How long a pod may measure; default: 240.",
)
@output_option
def command(
    spec: Path, kubeconfig: Path | None, context: str | None, hardware: bool, image: str | None,
    cpu_ranks: int | None, seconds: int | None, output: str,
) -> int:  # fmt: skip
    """Check a cluster before SPEC.yaml is deployed there. Changes nothing that stays.

    Exit code 1 if something would keep it from starting, or the hardware is not what was planned.
    """
    from shardwright.cli.resolve import resolve
    from shardwright.deploy.preflight import preflight
    from shardwright.drive.kube import connect
    from shardwright.launch.build import build_launch_plan
    from shardwright.planner.plan import make_plan
    from shardwright.render.objects import kubernetes_objects

    resolved = resolve(spec)
    made = make_plan(resolved.request, resolved.shape)
    plan = build_launch_plan(resolved.request, resolved.shape, made)
    with connect(kubeconfig, context) as cluster:
        findings = preflight(cluster, plan, kubernetes_objects(plan))
        if not hardware:
            return _tell(output, findings, None, None)
        if cpu_ranks:
            findings = tuple(f for f in findings if f.code != "too-few-gpus")
        elif any(f.code == "too-few-gpus" for f in findings):
            return _tell(output, findings, None, None)  # the check would wait for the same GPUs
        options = {"image": image, "cpu_ranks": cpu_ranks or 0}
        options |= {"seconds": seconds} if seconds else {}
        checked, verdict = _measure(cluster, resolved, plan, options)
    return _tell(output, findings, checked, verdict)


def _measure(
    cluster: Cluster, resolved: Resolved, plan: LaunchPlan, options: dict[str, Any]
) -> tuple[Checked, HardwareVerdict]:
    from shardwright.deploy.hardware import check_hardware, claim_exists
    from shardwright.drive.clock import SystemClock
    from shardwright.facts.gpus import gpu
    from shardwright.launch.hardware import hardware_check
    from shardwright.planner.links import DEFAULT_FABRIC
    from shardwright.verify.hardware_expected import Expected
    from shardwright.verify.hardware_rules import judge

    request = resolved.request
    check = hardware_check(plan, has_claim=claim_exists(cluster, plan), **options)
    click.echo(
        f"checking {check.tasks[0].pods} pod(s), at most {check.tasks[0].deadline_s} s", err=True
    )
    checked = check_hardware(cluster, SystemClock(), check, lambda line: click.echo(line, err=True))
    expected = Expected(
        plan=check, gpu=None if options["cpu_ranks"] else gpu(request.cluster.gpu),
        fabric=request.cluster.fabric or DEFAULT_FABRIC,
        read_bytes_per_s=request.storage.read_bytes_per_s,
    )  # fmt: skip
    return checked, judge(expected, checked.members)


def _tell(
    output: str, findings: tuple[Finding, ...], checked: Checked | None,
    verdict: HardwareVerdict | None,
) -> int:  # fmt: skip
    found = (*findings, *(verdict.findings if verdict else ()))
    if output == "json":
        print_json("preflight", _as_json(found, checked, verdict))
    else:
        for line in _as_lines(found, checked, verdict):
            click.echo(line)
    wrong = any(f.severity.value == "error" for f in found)
    failed = verdict is not None and not verdict.passed
    return ExitCode.VERDICT_NO if wrong or failed else ExitCode.DONE


def _as_lines(
    findings: tuple[Finding, ...], checked: Checked | None, verdict: HardwareVerdict | None
) -> list[str]:
    from shardwright.diagnose.answer import as_text

    lines: list[str] = []
    if verdict is not None and checked is not None:
        shown = [(r.verdict.value, r.check, r.where, r.measured, r.expected) for r in verdict.rows]
        widths = [max(len(row[i]) for row in shown) for i in range(3)]
        for mark, check, where, measured, expected in shown:
            lines.append(
                f"{mark:<{widths[0]}}  {check:<{widths[1]}}  {where:<{widths[2]}}  {measured}"
                + (f"  (expected: {expected})" if expected else "")
            )
        lines += [f"measured in {checked.seconds:.0f} s", *checked.problems]
    for each in findings:
        lines += ["", *finding_lines(each)]
    if checked is not None and checked.report is not None:
        lines += ["", as_text(checked.report, terminal_width())]
    return lines or ["nothing found that would keep it from starting"]


def _as_json(
    findings: tuple[Finding, ...], checked: Checked | None, verdict: HardwareVerdict | None
) -> dict[str, Any]:
    from shardwright.diagnose.doctor import as_json
    from shardwright.model.plain import plain

    out: dict[str, Any] = {"findings": [plain(each) for each in findings]}
    if verdict is not None and checked is not None:
        out |= {
            "hardware": {
                "passed": verdict.passed,
                "seconds": round(checked.seconds, 1),
                "rows": [plain(row) for row in verdict.rows],
                "members": [plain(each) for each in checked.members],
                "problems": list(checked.problems),
                "diagnosis": as_json(checked.report) if checked.report else None,
            }
        }
    return out
