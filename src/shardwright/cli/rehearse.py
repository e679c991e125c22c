"""`shardwright rehearse`: the launch plan as real processes here, proved and torn down."""

from __future__ import annotations

import re
import secrets
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from shardwright.cli.cluster import cluster_options
from shardwright.cli.options import output_option, spec_argument, terminal_width
from shardwright.cli.resolve import resolve
from shardwright.model.errors import ExitCode, ShardwrightError, usage_error

if TYPE_CHECKING:
    from types import FrameType

    from shardwright.cli.progress import Progress
    from shardwright.cli.rehearse_bench import Load
    from shardwright.cli.resolve import Resolved
    from shardwright.rehearse.report import Report
    from shardwright.rehearse.scene import Scene


_SCRATCH = ("HOME", "TMPDIR", "RAY_TMPDIR")
"""Variables that point to the member's own directory, so that nothing of the user's home, such as a
Ray token, decides what happens."""


@click.command()
@spec_argument
@click.option("--ranks", metavar="TxP", help="Tensor x pipeline ranks here; 2 of each axis used.")
@click.option(
    "--nodes",
    type=click.Choice(["processes", "namespaces"]),
    default="processes",
    show_default=True,
    help="Members side by side, or each in its own network namespace (root or user namespaces).",
)
@click.option("--bench", is_flag=True, help="Load the endpoint with AIPerf as well, and judge it.")
@click.option("--drill", is_flag=True, help="Break the group, and see whether it recovers.")
@click.option(
    "--compare/--no-compare",
    default=True,
    help="Score the tokens again in a single process.",
    show_default=True,
)
@click.option(
    "--timeout",
    type=click.IntRange(min=10),
    default=600,
    show_default=True,
    help="Seconds that a start of the group may take.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("rehearsals"),
    show_default=True,
    help="Directory for logs and reports.",
)
@click.option("--cluster", is_flag=True, help="On Kubernetes: the rendered manifests themselves.")
@cluster_options
@click.option("--image", help="With --cluster: image with the CPU engine and this package.")
@click.option(
    "--take-over",
    is_flag=True,
    help="With --cluster: remove what a rehearsal of this name left when it was cut off.",
)
@output_option
def command(
    spec: Path,
    ranks: str | None,
    nodes: str,
    bench: bool,
    drill: bool,
    compare: bool,
    timeout: int,
    out: Path,
    cluster: bool,
    kubeconfig: Path | None,
    context: str | None,
    image: str | None,
    take_over: bool,
    output: str,
) -> int:
    """Run SPEC.yaml here with the real engine, on the CPU and at small scale, and prove it."""
    from shardwright.cli.bench_question import folder_of
    from shardwright.cli.plan import draw
    from shardwright.cli.progress import Progress
    from shardwright.cli.rehearse_report import publish
    from shardwright.cli.staging import stage

    _interrupt_on(signal.SIGTERM, signal.SIGHUP)
    if cluster:
        _refuse_ignored("here only, not with --cluster", "nodes", "bench", "compare", "timeout")
        from shardwright.cli.rehearse_cluster import Where, run

        where = Where(
            kubeconfig=kubeconfig, context=context, image=image, out=out, with_drill=drill,
            take_over=take_over,
        )  # fmt: skip
        return run(spec, _ranks(ranks), where, output)
    _refuse_ignored("for --cluster only", "kubeconfig", "context", "image", "take_over")
    progress = Progress()
    resolved = resolve(spec)
    if bench and nodes == "namespaces":
        raise usage_error(
            "bench-not-in-namespaces",
            "the load tool cannot reach members in namespaces of their own",
            remedy="leave out --nodes namespaces, or --bench",
        )
    directory = out / resolved.request.name / time.strftime("%Y%m%d-%H%M%S")
    with folder_of(directory):
        scene = stage(resolved, spec.parent, _ranks(ranks), nodes, progress)
        load = _load(resolved, scene, directory / "bench", progress) if bench else None
        try:
            report = perform(scene, directory, progress, (timeout, compare, drill), load)
        except ShardwrightError:
            _ask_doctor(directory)
            raise
    publish(report, draw(resolved, scene.deployed, "mermaid"), directory, output)
    if load is not None:
        click.echo(f"bench:  {directory / 'bench' / 'report.html'}", err=True)
    if not report.passed:
        _ask_doctor(directory)
    return ExitCode.DONE if report.passed else ExitCode.VERDICT_NO


def _ask_doctor(directory: Path) -> None:
    """Say what the members' logs show, when there is something known in them."""
    from shardwright.diagnose.answer import as_text
    from shardwright.diagnose.doctor import examine
    from shardwright.drive.evidence_files import evidence_documents

    found = examine(evidence_documents([str(directory)]).documents)
    if not found.unknown:
        click.echo(as_text(found, terminal_width()), err=True)


def perform(
    scene: Scene,
    directory: Path,
    progress: Progress,
    options: tuple[int, bool, bool],
    load: Load | None = None,
) -> Report:
    """Do the rehearsal with real processes; nothing of it is left whatever happens."""
    from shardwright.drive.clock import SystemClock
    from shardwright.drive.http import LocalHttp
    from shardwright.drive.processes import LocalProcesses
    from shardwright.rehearse.job import Job
    from shardwright.rehearse.resolve import Surroundings
    from shardwright.rehearse.session import Session

    timeout_s, with_comparison, with_drill = options
    members = scene.plan.group.members
    with LocalProcesses(
        names=tuple(f"{scene.plan.name}-{member.index}" for member in members),
        shm_bytes=tuple(member.shm_bytes for member in members),
        isolate=scene.is_isolated,
        directory=directory,
    ) as processes:
        around = Surroundings(
            env=(*scene.env, *((name, str(processes.tmp)) for name in _SCRATCH)),
            secrets={
                (secret.name, key): secrets.token_hex(16)
                for secret in scene.plan.secrets
                for key in secret.keys
            },
        )
        job = Job(
            deployed=scene.deployed,
            plan=scene.plan,
            changes=scene.changes,
            rules=scene.rules,
            around=around,
            version=scene.version,
            vocab_size=scene.vocab_size,
            nodes=scene.nodes,
            timeout_s=timeout_s,
            with_comparison=with_comparison,
            with_drill=with_drill,
            load=load,
        )
        http = LocalHttp(processes.connect)
        session = Session(job=job, supervisor=processes, http=http, clock=SystemClock())
        events = session.run()
        while True:
            try:
                progress.show(next(events))
            except StopIteration as done:
                report: Report = done.value
                return report
            except ShardwrightError as error:
                error.remedy = (error.remedy or "").replace("logs/", f"{directory}/logs/")
                raise


def _load(resolved: Resolved, scene: Scene, folder: Path, progress: Progress) -> Load:
    from shardwright.cli.bench_question import Question
    from shardwright.cli.bench_tool import find_aiperf
    from shardwright.cli.rehearse_bench import aiperf_load
    from shardwright.planner.plan import make_plan

    plan = make_plan(resolved.request, resolved.shape)
    question = Question(resolved=resolved, plan=plan, slo=resolved.request.slo, folder=folder)
    return aiperf_load(find_aiperf(progress.say), scene, question, progress)


def _ranks(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match or not int(match[1]) or not int(match[2]):
        raise usage_error(
            "ranks-not-read",
            f"--ranks {text} is not TxP",
            remedy="write tensor x pipeline ranks, for example --ranks 2x2",
        )
    return int(match[1]), int(match[2])


def _refuse_ignored(words: str, *names: str) -> None:
    """Refuse options that would be without effect, rather than pass over what was asked."""
    context = click.get_current_context()
    given = [n for n in names if context.get_parameter_source(n) is ParameterSource.COMMANDLINE]
    if given:
        [option] = (each for each in context.command.params if each.name == given[0])
        is_off = option.secondary_opts and context.params[given[0]] is False
        typed = (option.secondary_opts if is_off else option.opts)[-1]
        raise usage_error(
            "option-without-effect", f"{typed} is {words}", remedy=f"leave out {typed}"
        )


def _interrupt_on(*signals: signal.Signals) -> None:
    """Treat the signals of a closing terminal or a stopping job like Ctrl-C."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    for each in signals:
        signal.signal(each, interrupt)


__all__ = ["command", "perform"]
