"""AIPerf as a process of its own environment: the real `LoadTool`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shardwright.bench.aiperf import (
    API_KEY_VARIABLE,
    GPU_SERIES,
    RECORDS,
    SERVER_METRICS,
    SERVER_SERIES,
    SUMMARY,
    Target,
    aiperf_config,
)
from shardwright.bench.failure import all_failed
from shardwright.bench.pods.send_load import Watch
from shardwright.bench.progress import progress_words
from shardwright.bench.run import ResultFiles
from shardwright.bench.scenario import Scenario
from shardwright.model.errors import ShardwrightError

GRACE_S = 10
SAYS_EACH_S = 15.0
"""Seconds between looks at how far a load is: a person waits, and must not be a load itself."""
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


@dataclass(frozen=True, slots=True, kw_only=True)
class AiperfProcess:
    """Runs `aiperf profile`. executable: the aiperf command; folder: where runs are kept.

    api_key reaches AIPerf through its environment only. say: called with a line when a run starts;
    show: with how far it is, again and again, and with nothing at its end.
    """

    executable: Path
    folder: Path
    api_key: str | None
    say: Callable[[str], None]
    show: Callable[[str], None]

    def run(self, scenario: Scenario, target: Target, name: str) -> ResultFiles:
        """Send the load and read back what AIPerf wrote. An interrupt ends AIPerf first."""
        place = self.folder / name
        place.mkdir(parents=True, exist_ok=True)
        for old in (SUMMARY, RECORDS, SERVER_METRICS, SERVER_SERIES, GPU_SERIES):
            (place / old).unlink(missing_ok=True)  # of an earlier bench into the same folder
        config = place / "aiperf.json"
        config.write_text(
            json.dumps(aiperf_config(scenario, target, str(place)), indent=2), "utf-8"
        )
        self.say(f"{name}: {scenario.num_requests} requests at {scenario.load}")
        log = place / "aiperf.out"
        with log.open("w") as out:
            argv = [str(self.executable), "profile", "--config", str(config)]
            watch = Watch(place, log)
            is_local = Path(target.tokenizer).is_dir()
            try:
                with _told(lambda: self.show(progress_words(watch.look(), scenario))):
                    code = self._run(argv, out.fileno(), is_local=is_local)
            finally:
                self.show("")
        summary = place / SUMMARY
        if code != 0 or not summary.is_file():
            raise all_failed(_text(place / RECORDS)) or _failed(code, log)
        return ResultFiles(
            folder=str(place),
            summary=summary.read_text("utf-8"),
            records=_text(place / RECORDS),
            server_metrics=_text(place / SERVER_METRICS),
            server_series=_text(place / SERVER_SERIES),
            gpu_series=_text(place / GPU_SERIES),
        )

    def _run(self, argv: list[str], out: int, *, is_local: bool) -> int:
        env = os.environ | {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
        if is_local:  # in offline mode AIPerf takes a directory for a hub id and refuses it
            env = {k: v for k, v in env.items() if k not in _OFFLINE}
        if self.api_key:
            env[API_KEY_VARIABLE] = self.api_key
        # a session of its own: Ctrl-C reaches us, and we end all of its workers
        process = subprocess.Popen(
            argv, stdout=out, stderr=subprocess.STDOUT, env=env, start_new_session=True
        )
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                _end(process)


@contextmanager
def _told(look: Callable[[], None]) -> Iterator[None]:
    """Look now and then, from a thread: waiting for a process with a timeout polls it."""
    is_over = threading.Event()

    def look_now_and_then() -> None:
        while not is_over.wait(SAYS_EACH_S):
            look()

    thread = threading.Thread(target=look_now_and_then, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=GRACE_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        else:
            return


def _text(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


def _failed(code: int, log: Path) -> ShardwrightError:
    lines = [line.strip("│ \n") for line in log.read_text("utf-8", errors="replace").splitlines()]
    told = [line for line in lines if "rror" in line or "xception" in line] or lines
    return ShardwrightError(
        code="load-tool-failed",
        what=f"AIPerf ended with status {code}",
        details=tuple(line[:200] for line in told[-5:] if line),
        remedy=f"read {log}; check that the endpoint answers and the tokenizer can be loaded "
        "(pass --tokenizer DIR where there is no network)",
    )
