"""Run a load tool in a pod, then print its result files, so that reading the log is all we need.

While the tool runs, a line `==shardwright-progress PHASE ANSWERED FAILED` is printed where it has
changed. Each result file is compressed and cut into lines `==shardwright-result NAME CHUNK`; the
last line says the tool's status and how many such lines there are, for a kubelet keeps the end of a
long log only (containerLogMaxSize, 10 MiB by default). Started with the path of a JSON file: argv,
env, files, results.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

MARK = "==shardwright-result"
END = "==shardwright-end"
PROGRESS = "==shardwright-progress"
RECORDS = "profile_export.jsonl"
LOOK_S = 5.0
"""Seconds between looks at what the tool has written: it must not be a load itself."""
WIDTH = 6000
WORK = Path("/tmp/bench")  # noqa: S108  (an emptyDir of the pod)
TAIL = 60


def main() -> int:
    """Write the inputs, run, print what came of it; the status is the tool's."""
    asked = json.loads(Path(sys.argv[1]).read_text())
    WORK.mkdir(parents=True, exist_ok=True)
    for name, text in asked["files"].items():
        (WORK / name).write_text(text)
    if shutil.which(asked["argv"][0]) is None:
        print(f"Error: {asked['argv'][0]} is not in this image\n{END} 127 0", flush=True)  # noqa: T201
        return 0
    log = WORK / "tool.out"
    is_over = threading.Event()
    teller = threading.Thread(target=_tell, args=(Watch(WORK, log), is_over), daemon=True)
    with log.open("w") as out:
        teller.start()
        done = subprocess.run(
            asked["argv"], stdout=out, stderr=subprocess.STDOUT, env=os.environ | asked["env"],
            cwd=WORK, check=False,
        )  # fmt: skip
    is_over.set()
    teller.join()
    lines = []
    for name in asked["results"]:
        found = next(iter(sorted(WORK.rglob(name))), None)
        if found is not None:
            lines += packed(name, found.read_bytes())
    for line in lines:
        print(line, flush=True)  # noqa: T201
    if done.returncode:
        print("\n".join(log.read_text(errors="replace").splitlines()[-TAIL:]))  # noqa: T201
    print(f"{END} {done.returncode} {len(lines)}", flush=True)  # noqa: T201
    return 0  # a Job that is tried again would load the endpoint twice


def _tell(watch: Watch, is_over: threading.Event) -> None:
    before = ""
    while not is_over.wait(LOOK_S):
        now = watch.look()
        if now != before:
            print(f"{PROGRESS} {now}", flush=True)  # noqa: T201
            before = now


class Watch:
    """How far a load tool is, by what it has written: AIPerf's records, the other's bar."""

    WARM_UP = re.compile(rb'"benchmark_phase":\s*"warmup"')
    FAILED = re.compile(rb'"error":\s*\{')
    BEGINS = re.compile(rb"Phase (\w+)[^\n]* started|(Warming up) with |(Starting main) benchmark")
    BAR = re.compile(rb"\| (\d+)/\d+ \[")

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder, self._log = folder, log
        self._read: dict[Path, int] = {}
        self._phase = "preparing"
        self._answered = {"warmup": 0, "profiling": 0}
        self._failed = {"warmup": 0, "profiling": 0}
        self._has_records = False

    def look(self) -> str:
        """Say phase (preparing, warmup or profiling), requests answered in it, and those of them
        that failed, or - where the tool does not tell before its end.
        """
        for line in self._new(self._log).replace(b"\r", b"\n").splitlines():
            if found := self.BEGINS.search(line):
                is_warm_up = found[1] == b"warmup" or found[2] is not None
                self._phase = "warmup" if is_warm_up else "profiling"
            elif (found := self.BAR.search(line)) and self._phase in self._answered:
                self._answered[self._phase] = int(found[1])
        records = next(iter(sorted(self._folder.rglob(RECORDS))), None)
        self._has_records = records is not None
        for line in self._new(records).splitlines() if records else ():
            phase = "warmup" if self.WARM_UP.search(line) else "profiling"
            self._answered[phase] += 1
            self._failed[phase] += bool(self.FAILED.search(line))
        if self._answered["profiling"]:
            self._phase = "profiling"
        failed = self._failed.get(self._phase, 0) if self._has_records else "-"
        return f"{self._phase} {self._answered.get(self._phase, 0)} {failed}"

    def _new(self, path: Path) -> bytes:
        """The whole lines that have come since the last look; a bar's lines end in \\r."""
        try:
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                data = file.read()
        except FileNotFoundError:
            return b""
        whole = data[: max(data.rfind(b"\n"), data.rfind(b"\r")) + 1]
        self._read[path] = self._read.get(path, 0) + len(whole)
        return whole


def packed(name: str, data: bytes) -> list[str]:
    """Cut a file into lines of a log."""
    text = base64.b64encode(gzip.compress(data, mtime=0)).decode()
    return [f"{MARK} {name} {text[i : i + WIDTH]}" for i in range(0, len(text), WIDTH)]


class LogCut(Exception):  # noqa: N818  (a state of a log, seen and handled)
    """The beginning of a log is gone, and lines of the result with it."""


def unpacked(log: str) -> tuple[dict[str, str], int | None]:
    """Read the files back from a log, and the tool's status; None if the tool has not ended.

    Raises LogCut where lines are missing.

    >>> log = "\\n".join(["noise", *packed("a.json", b"{}"), f"{END} 0 1"])
    >>> unpacked(log)
    ({'a.json': '{}'}, 0)
    """
    chunks: dict[str, list[str]] = {}
    status, num_lines = None, 0
    for line in log.splitlines():
        if line.startswith(MARK):
            _, name, chunk = line.split(" ", 2)
            chunks.setdefault(name, []).append(chunk.strip())
        elif line.startswith(END):
            status, num_lines = (int(word) for word in line.split()[1:3])
    if status is None:
        return {}, None
    if sum(map(len, chunks.values())) != num_lines:
        raise LogCut
    files = {
        name: gzip.decompress(base64.b64decode("".join(parts))).decode()
        for name, parts in chunks.items()
    }
    return files, status


if __name__ == "__main__":
    sys.exit(main())
