"""kubectl, for what needs a stream into a container. Called by the drill on a cluster."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from shardwright.model.errors import ExitCode, ShardwrightError


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubectl:
    """The program of that name with one kubeconfig and context; None: its own defaults."""

    kubeconfig: Path | None
    context: str | None

    def run(self, *arguments: str, timeout_s: float = 60) -> str:
        """Run it to its end and return its output; raises ShardwrightError."""
        program = shutil.which("kubectl")
        if program is None:
            raise ShardwrightError(
                code="kubectl-missing",
                what="kubectl is not on PATH",
                cause="a drill runs programs inside containers, and kubectl opens the way in",
                remedy="install kubectl, or leave out --drill",
                exit_code=ExitCode.USAGE,
            )
        options = [f"--kubeconfig={self.kubeconfig}"] if self.kubeconfig else []
        options += [f"--context={self.context}"] if self.context else []
        try:
            done = subprocess.run(
                [program, *options, *arguments],
                capture_output=True, text=True, timeout=timeout_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise _failed(arguments, f"no end within {timeout_s:.0f} s") from error
        if done.returncode != 0:
            raise _failed(arguments, done.stderr.strip()[-500:])
        return done.stdout


def _failed(arguments: tuple[str, ...], said: str) -> ShardwrightError:
    return ShardwrightError(
        code="kubectl-failed",
        what=f"kubectl {' '.join(arguments[:3])} failed",
        cause=said,
        remedy="run it by hand with the same --kubeconfig and --context",
    )
