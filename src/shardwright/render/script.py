"""The start of a container that runs more than one program: a short bash script.

One program needs no script: its command line is the container's command. Otherwise programs start
in order, each one after those it depends on, and the container ends when any of them ends, so that
nothing half alive is left behind.
"""

from __future__ import annotations

from dataclasses import dataclass

SUPERVISE = (
    "pids=()",
    "stop() {",
    '  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done',
    "  wait || true",
    "}",
    "trap 'stop; exit 143' TERM INT",
)
# not `wait -n`: before bash 5.3 it misses a program that ended before it was called
FOOTER = (
    "while :; do",
    '  for pid in "${pids[@]}"; do',
    '    kill -0 "$pid" 2>/dev/null || { code=0; wait "$pid" || code=$?; stop; exit "$code"; }',
    "  done",
    "  sleep 1",
    "done",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of a start. command: shell words; stays: runs until the container ends.

    needs: host (a shell word) and port that must answer first. opens: the port it listens on once
    it is up; the steps after it wait. patience_s: how long either is waited for.
    """

    command: str
    stays: bool
    needs: tuple[str, int] | None = None
    opens: int | None = None
    patience_s: int = 300


def script(steps: tuple[Step, ...]) -> str:
    """Write the script of some steps.

    >>> print(script((Step(command="prepare", stays=False), Step(command="serve", stays=True))))
    set -euo pipefail
    prepare
    exec serve
    <BLANKLINE>
    """
    staying = [step for step in steps if step.stays]
    is_single = len(staying) == 1 and steps[-1].stays
    lines = ["set -euo pipefail", *(() if is_single else SUPERVISE)]
    for step in steps:
        if step.needs:
            lines += _await(*step.needs, step.patience_s)
        if is_single and step.stays:
            lines.append(f"exec {step.command}")
            return "\n".join([*lines, ""])
        lines.append(f"{step.command} & pids+=($!)" if step.stays else step.command)
        if step.opens:
            lines += _await("127.0.0.1", step.opens, step.patience_s)
    return "\n".join([*lines, *FOOTER, ""])


def _await(host: str, port: int, seconds: int) -> list[str]:
    late = f"no answer from port {port} within {seconds} s"
    return [
        f"for ((i = 0; i < {seconds}; i++)); do",
        f"  if (: </dev/tcp/{host}/{port}) 2>/dev/null; then break; fi",
        "  sleep 1",
        "done",
        f'((i < {seconds})) || {{ echo "{late}" >&2; exit 1; }}',
    ]
