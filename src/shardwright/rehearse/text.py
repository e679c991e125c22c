"""A report as text for people: the verdict last, where the eye rests."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.model.units import MIB, gib
from shardwright.rehearse.report import Report
from shardwright.verify.agreement import Agreement


def report_text(report: Report) -> str:
    """Write a report as the command prints it."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.name}: {report.model}"
    engine = report.engine
    yield f"  to deploy  {report.deployed}, {engine} {report.engine_version}, {report.mechanism}"
    yield f"  rehearsed  {report.rehearsed}, {engine} {report.rehearsed_version}, {report.nodes}"
    yield f"  ready      after {report.ready_s:.0f} s; everything took {report.took_s:.0f} s"
    yield ""
    yield "ranks"
    for rank in report.ranks:
        plan, seen = rank.planned, rank.seen
        where = f"member {rank.member}  stage {plan.pipeline}  tensor {plan.tensor}"
        held = f"layers {plan.layers[0]}-{plan.layers[1]}"
        told = f"{seen.address}, process {seen.pid}" if seen else "not seen"
        verdict = "as planned" if not rank.differences else "; ".join(rank.differences)
        yield f"  rank {plan.index}  {where}  {held}  {told}  {verdict}"
    yield ""
    yield "endpoint"
    for check in report.checks:
        mark = "ok" if check.passed else "FAILED"
        yield f"  {mark:6} {check.name}: {check.detail} ({check.took_s:.1f} s)"
    if report.agreement:
        yield from _agreement(report.agreement, report.compared_with or "")
    if report.usage:
        yield ""
        yield "peak use here, beside what the deployment reserves"
    for use in report.usage:
        yield (
            f"  member {use.member}  memory {gib(use.memory_bytes)} of "
            f"{gib(use.memory_reserved_bytes)}  /dev/shm {use.shm_bytes / MIB:.0f} MiB of "
            f"{gib(use.shm_reserved_bytes)}  {use.num_processes} processes"
        )
    yield from _drill(report)
    yield from _aftermaths(report)
    yield from _closing(report)


def _agreement(a: Agreement, with_what: str) -> Iterator[str]:
    mark = "ok" if a.agrees else "FAILED"
    yield (
        f"  {mark:6} tokens: {a.num_tokens} greedy tokens of {a.num_prompts} prompts against "
        f"{with_what}: log probabilities differ by at most {a.max_difference:.4f} nats "
        f"(accepted {a.tolerance}), {a.num_ties} ties"
    )
    if not a.is_telling:
        yield f"         but they beat chance by {a.margin:.2f} nats only: this could hardly fail"
    for line in a.disagreements[:5]:
        yield f"         {line}"


def _drill(report: Report) -> Iterator[str]:
    drill = report.drill
    if drill is None:
        return
    yield ""
    yield f"drill: rank {drill.rank} of member {drill.member} killed"
    yield f"  request in flight: {drill.in_flight}"
    noticed = drill.noticed_s
    if noticed is None:
        yield f"  nothing noticed within {drill.limit_s:.0f} s"
    else:
        yield f"  noticed after {noticed:.1f} s"
    if drill.health_failed_s is not None:
        yield f"  health check failed after {drill.health_failed_s:.1f} s"
    if drill.exited_s is not None:
        yield f"  {drill.exited}, ended after {drill.exited_s:.1f} s"
    if drill.recovered_s is not None:
        yield f"  the restarted group answered {drill.recovered_s:.0f} s after its restart began"
    else:
        yield "  the restarted group did not answer"


def _aftermaths(report: Report) -> Iterator[str]:
    if report.aftermaths:
        yield ""
        yield "drill"
    for each in report.aftermaths:
        yield f"  {each.title}"
        if each.noticed_s is None:
            yield "    nobody noticed"
        else:
            yield f"    noticed after {each.noticed_s:.0f} s by {each.noticed_by}"
        if each.recovered_s is None:
            yield f"    did NOT answer again within {each.limit_s:.0f} s"
        else:
            yield f"    answers again after {each.recovered_s:.0f} s (allowed {each.limit_s:.0f} s)"
        yield f"    users saw {each.users}"


def _closing(report: Report) -> Iterator[str]:
    for finding in report.findings:
        yield ""
        yield f"{finding.severity.value}: {finding.code}"
        yield f"  {finding.what}"
        yield from (f"  {line}" for line in (finding.why, finding.remedy) if line)
    yield ""
    yield "proved"
    yield from (f"  {line}" for line in report.proved)
    yield "not proved"
    yield from (f"  {line}" for line in report.not_proved)
    if report.leftovers.remaining:
        yield "could not be removed: " + ", ".join(report.leftovers.remaining)
    yield ""
    yield "the rehearsal passed" if report.passed else "the rehearsal FAILED"
