"""What a bench asks: the spec, its plan, the load and who judges."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shardwright.cli.options import read_text
from shardwright.model.errors import usage_error

if TYPE_CHECKING:
    from shardwright.bench.prediction import Predictor
    from shardwright.bench.run import Judge
    from shardwright.bench.scenario import Scenario
    from shardwright.cli.resolve import Resolved
    from shardwright.model.measured import Measured
    from shardwright.model.plan import Plan
    from shardwright.model.request import Slo
    from shardwright.verify.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the command line says instead of the spec; None: as the spec has it."""

    requests: int | None = None
    concurrency: int | None = None
    rate: float | None = None
    trace: Path | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: the spec and its plan where there is a spec, and the folder of this bench.

    slo: of the spec, or of the command line. trace: the file to replay, if one is asked for.
    """

    resolved: Resolved | None
    plan: Plan | None
    slo: Slo
    folder: Path
    trace: Path | None = None

    @property
    def predictor(self) -> Predictor | None:
        """The planner on this deployment; None without a spec."""
        from shardwright.bench.prediction import Predictor

        if self.resolved is None or self.plan is None:
            return None
        return Predictor(request=self.resolved.request, shape=self.resolved.shape, plan=self.plan)


@contextmanager
def folder_of(out: Path) -> Iterator[None]:
    """Make the folder of a bench or a rehearsal, so that one that cannot be is said before anything
    is begun; it goes again if nothing came into it.
    """
    made = [path for path in (out, *out.parents) if not path.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise usage_error(
            "file-not-writable", f"{out} cannot be made: {error.strerror}",
            remedy="pass --out FOLDER",
        ) from error  # fmt: skip
    try:
        yield
    finally:
        for path in made:
            if any(path.iterdir()):
                break
            path.rmdir()


def read_question(spec: Path | None, out: Path, slo: Slo, load: Load) -> Question:
    """Read the spec, if there is one."""
    trace = load.trace
    if spec is None:
        slo = objective_of(None, slo)
        return Question(resolved=None, plan=None, slo=slo, folder=out, trace=trace)
    from shardwright.cli.resolve import resolve
    from shardwright.planner.plan import make_plan

    if slo.ttft_s or slo.itl_s:
        raise usage_error(
            "two-objectives",
            "a spec and an objective on the command line exclude each other",
            remedy="change the slo in the spec, or leave out the spec",
        )
    resolved = resolve(spec)
    named = resolved.request.workload.trace
    if trace is None and named and not (load.concurrency or load.rate):
        trace = spec.parent / named
    return Question(
        resolved=resolved,
        plan=make_plan(resolved.request, resolved.shape),
        slo=objective_of(resolved.request.slo, slo),
        folder=out,
        trace=trace,
    )


def fraction(text: str, option: str) -> float:
    """Read a share, as 5% or 0.05."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < 10:
        raise usage_error(
            "not-a-share", f"{option} {text!r} is no share", remedy="write 5% or 0.05"
        )
    return value


def goodput_share(text: str) -> float:
    """Read --goodput. All requests is a share that no number of requests can show."""
    value = fraction(text, "--goodput")
    if not 0 < value < 1:
        raise usage_error(
            "goodput-out-of-range",
            f"--goodput {text} is not between nothing and all of the requests",
            remedy="write a share such as 95%; 99.9% takes 2,995 good requests to show",
        )
    return value


def objective_of(spec: Slo | None, asked: Slo) -> Slo:
    """The spec's objective, else the command line's; goodput is the command line's alone."""
    slo = asked if spec is None else replace(spec, goodput=asked.goodput)
    if slo.goodput is not None and slo.ttft_s is None and slo.itl_s is None:
        raise usage_error(
            "goodput-of-nothing",
            "--goodput is of requests that meet an objective, and there is none",
            remedy="pass --ttft-ms or --itl-ms, or a spec with an slo",
        )
    return slo


def scenario_of(question: Question, load: Load) -> Scenario:
    """The spec's load, or what the command line says instead."""
    from shardwright.bench.scenario import replayed, scenario_for
    from shardwright.model.request import Workload

    request = question.resolved.request if question.resolved else None
    workload = request.workload if request else Workload(input_tokens=128, output_tokens=64)
    if load.concurrency or load.rate:
        workload = replace(workload, concurrency=load.concurrency, requests_per_s=load.rate)
    workload = replace(
        workload,
        input_tokens=load.input_tokens or workload.input_tokens,
        output_tokens=load.output_tokens or workload.output_tokens,
    )
    scenario = scenario_for(workload, question.slo, num_requests=load.requests)
    if question.trace is None:
        return scenario
    lines = [line for line in read_text(question.trace).splitlines() if line.strip()]
    _check_trace(question.trace, lines)
    asked = min(load.requests or len(lines), len(lines))
    return replayed(scenario, str(question.trace.absolute()), asked)


def _check_trace(path: Path, lines: list[str]) -> None:
    """A trace is one JSON object a line, with lengths and an instant in milliseconds."""
    import json

    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            is_good = "timestamp" in entry and ("input_length" in entry or "text_input" in entry)
        except (ValueError, TypeError):
            is_good = False
        if not is_good:
            raise usage_error(
                "trace-not-read",
                f"{path}:{number} is no entry of a Mooncake trace",
                remedy='write one JSON object a line: {"timestamp": 0, "input_length": 512, '
                '"output_length": 64}, milliseconds and tokens',
            )
    if not lines:
        raise usage_error("trace-empty", f"{path} has no entry", remedy="pass another --trace")


def judge_of(question: Question) -> Judge:
    """Judge by the objective, beside the planner's prediction of that very load."""
    from shardwright.verify.verdict import judge

    plan, predictor = question.plan, question.predictor

    def call(scenario: Scenario, runs: tuple[Measured, ...]) -> Verdict:
        return judge(
            runs,
            question.slo,
            predicted=predictor.speed_at(scenario) if predictor else None,
            num_gpus=plan.layout.num_gpus if plan else None,
            usd_per_hour=plan.cost.usd_per_hour if plan and plan.cost else None,
        )

    return call


def spec_text(question: Question) -> str | None:
    """The spec as written, for the report."""
    if question.resolved is None:
        return None
    return Path(question.resolved.loaded.source.file).read_text(encoding="utf-8")
