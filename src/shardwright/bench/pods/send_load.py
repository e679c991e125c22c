"""Run a load tool in a pod, then print its result files, so that reading the log is all we need.

Each file is compressed and cut into lines `==shardwright-result NAME CHUNK`; the last line says
the tool's status and how many such lines there are, for a kubelet keeps the end of a long log only
(containerLogMaxSize, 10 MiB by default). Started with the path of a JSON file: argv, env, files,
results.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

MARK = "==shardwright-result"
END = "==shardwright-end"
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
    with log.open("w") as out:
        done = subprocess.run(
            asked["argv"], stdout=out, stderr=subprocess.STDOUT, env=os.environ | asked["env"],
            cwd=WORK, check=False,
        )  # fmt: skip
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
