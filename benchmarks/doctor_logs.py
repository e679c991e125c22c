"""Time and memory of the doctor over 16 ranks x 200 MB of logs (3.2 GB).

The logs are what a serving group writes for days: throughput lines, access lines, progress bars,
NCCL channels and a few warnings, and at the end of one rank the failure. Needs 3.2 GB of disk.
usage: python benchmarks/doctor_logs.py [--ranks 16] [--megabytes 200] [--folder DIR] [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "doctor.md"
BEGIN, END = "<!-- speed: written by make bench-doctor -->", "<!-- end of speed -->"

OOM = (
    "(Worker_TP3 pid=704) ERROR 11-24 10:12:07 [multiproc_executor.py:949] torch.OutOfMemoryError: "
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 3 has a total capacity of 79.10 GiB\n"
)
WATCHDOG = (
    "[rank{rank}]:[E1124 10:22:09.100 ProcessGroupNCCL.cpp:632] [Rank {rank}] Watchdog caught "
    "collective operation timeout: WorkNCCL(SeqNum=9, OpType=ALLREDUCE) ran for 600000 ms\n"
)


def ordinary_lines(rank: int, rng: random.Random, num_bytes: int) -> bytes:
    """Lines of a healthy rank, about num_bytes of them."""
    lines: list[str] = []
    size = 0
    while size < num_bytes:
        day, hour, minute = rng.randrange(4), rng.randrange(24), rng.randrange(60)
        clock = f"11-2{day} {hour:02}:{minute:02}:{rng.randrange(60):02}"
        prefix = f"(Worker_TP{rank % 8} pid={700 + rank}) "
        line = rng.choice((
            (f"{prefix}INFO {clock} [loggers.py:257] Engine 000: Avg prompt throughput: "
             f"{rng.random() * 900:.1f} tokens/s, Avg generation throughput: "
             f"{rng.random() * 500:.1f} tokens/s, Running: {rng.randrange(64)} reqs, Waiting: "
             f"{rng.randrange(9)} reqs, GPU KV cache usage: {rng.random() * 90:.1f}%, Prefix cache "
             "hit rate: 41.2%"),
            (f'INFO:     10.1.{rng.randrange(9)}.{rng.randrange(250)}:{rng.randrange(65000)} - '
             '"POST /v1/chat/completions HTTP/1.1" 200 OK'),
            (f"\x1b[36m{prefix}\x1b[0mDEBUG {clock} [scheduler.py:881] scheduled "
             f"{rng.randrange(9999)} tokens for request chatcmpl-{rng.getrandbits(128):032x}"),
            (f"n{rank}:80{rank}:990 [{rank % 8}] NCCL INFO Channel {rng.randrange(32):02}/0 : "
             f"{rank}[{rank % 8}] -> {(rank + 1) % 16}[{(rank + 1) % 8}] via P2P/CUMEM"),
            (f"{prefix}WARNING {clock} [input_processor.py:99] request "
             f"{rng.getrandbits(64):016x} was aborted by its client"),
        ))  # fmt: skip
        lines.append(line)
        size += len(line) + 1
    return ("\n".join(lines) + "\n").encode()


def write_logs(folder: Path, num_ranks: int, num_bytes: int) -> None:
    """Write one log per rank: shuffled megabytes of ordinary lines, then the failure."""
    for rank in range(num_ranks):
        rng = random.Random(rank)
        pieces = [ordinary_lines(rank, rng, 1 << 20) for _ in range(8)]
        with (folder / f"rank{rank}.log").open("wb") as log:
            while log.tell() < num_bytes:
                log.write(rng.choice(pieces))
            log.write((OOM if rank == 3 else WATCHDOG.format(rank=rank)).encode())


def measured(folder: Path) -> dict[str, object]:
    """Run the command as a user does; return what it took and what it found."""
    argv = [sys.executable, "-m", "shardwright", "doctor", "--evidence", str(folder), "-o", "json"]
    load = os.getloadavg()[0]
    started = time.monotonic()
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
    wall_s = time.monotonic() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    first = json.loads(done.stdout)["findings"][0]
    return {
        "bytes": sum(p.stat().st_size for p in folder.iterdir()),
        "wall_s": round(wall_s, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_mib": round(used.ru_maxrss / 1024),
        "load": round(load, 1),
        "cores": len(os.sched_getaffinity(0)),
        "first": first["code"],
        "first_file": first["evidence"][0]["file"],
    }


def write(result: dict[str, object]) -> None:
    """Put the figures into the page of the doctor."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    when = datetime.now(tz=UTC).date()
    words = (
        f"Measured {when} on {result['cores']} cores at a load of {result['load']} before the "
        f"start: {result['bytes'] / 1e9:.1f} GB in {result['wall_s']} s, {result['cpu_s']} s of "
        f"processor time in all; the largest process held {result['peak_mib']} MiB. Where others "
        "use the machine, the processor time is what to compare."
    )
    PAGE.write_text(f"{before}{BEGIN}\n{words}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Write the logs, measure, print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=16)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--folder", type=Path, help="where there is room for the logs")
    parser.add_argument("--write", action="store_true", help="write docs/doctor.md as well")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        write_logs(folder, options.ranks, options.megabytes * 10**6)
        result = measured(folder)
        print(json.dumps(result))
        if options.write:
            write(result)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
