"""One rank's measurements of the links between GPUs: all-reduce and send/recv at a few sizes.

Started by `hardware_probe.py`, once per GPU. Uses what the engine would: torch.distributed over
NCCL, or Gloo without GPUs. A file, rewritten after each step, holds what is known so far.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import tempfile
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

GPU_SIZES = (8 << 10, 1 << 20, 64 << 20, 256 << 20)
CPU_SIZES = (8 << 10, 1 << 20, 16 << 20)
STEP_S = 1.0
MAX_ROUNDS = 50
VIA = re.compile(r"\bvia (\S+)")
Found = dict[str, Any]


class Rank:
    """One rank: its place, its device, and what it found so far."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Take the place in the group from the command line."""
        self.local, self.per_member = options.local, options.ranks
        self.member, self.members = options.member, options.members
        self.rank = self.member * self.per_member + self.local
        self.size = self.members * self.per_member
        self.is_cpu = options.cpu
        self.device = torch.device("cpu" if self.is_cpu else f"cuda:{self.local}")
        self.sizes = CPU_SIZES if self.is_cpu else GPU_SIZES
        self.out = Path(options.out)
        self.found: Found = {"rank": self.rank, "torch": torch.__version__}

    def keep(self, **found: Any) -> None:
        """Add to what is known and write it down."""
        self.found |= found
        self.out.write_text(json.dumps(self.found))

    def join(self, options: argparse.Namespace, nccl_log: Path) -> None:
        """Meet the other ranks."""
        limit = timedelta(seconds=options.seconds)
        began = time.monotonic()
        if not self.is_cpu:
            os.environ["NCCL_DEBUG"] = "INFO"
            os.environ["NCCL_DEBUG_FILE"] = str(nccl_log)
            torch.cuda.set_device(self.device)
            version = ".".join(map(str, torch.cuda.nccl.version()))
            self.keep(nccl=version, cuda=torch.version.cuda)
        dist.init_process_group(
            "gloo" if self.is_cpu else "nccl", rank=self.rank, world_size=self.size, timeout=limit,
            init_method=f"tcp://{options.leader}:{options.port}",
        )  # fmt: skip
        self.barrier()
        self.keep(joined_s=round(time.monotonic() - began, 2))

    def barrier(self) -> None:
        """Wait for all, by an all-reduce: it works alike on both backends."""
        dist.all_reduce(torch.ones(1, device=self.device))
        self.sync()

    def sync(self) -> None:
        """Wait until the device is done."""
        if not self.is_cpu:
            torch.cuda.synchronize()

    def timed(self, step: Any) -> float:
        """Seconds of one step, over as many rounds as fit in STEP_S on the slowest rank."""
        step()
        self.sync()
        self.barrier()
        began = time.perf_counter()
        step()
        self.sync()
        once = torch.tensor([time.perf_counter() - began], device=self.device)
        dist.all_reduce(once, op=dist.ReduceOp.MAX)
        rounds = max(2, min(MAX_ROUNDS, int(STEP_S / max(float(once), 1e-6))))
        self.barrier()
        began = time.perf_counter()
        for _ in range(rounds):
            step()
        self.sync()
        return (time.perf_counter() - began) / rounds

    def all_reduce(self, group: Any, size: int) -> list[Found]:
        """Time all-reduces of a group; bus bandwidth is 2 (n-1)/n of bytes over seconds."""
        out = []
        for num_bytes in self.sizes:
            tensor = torch.zeros(num_bytes // 4, dtype=torch.float32, device=self.device)
            seconds = self.timed(lambda t=tensor: dist.all_reduce(t, group=group))
            bus = 2 * (size - 1) / size * num_bytes / seconds
            out.append({"bytes": num_bytes, "seconds": seconds, "bus_bytes_per_s": bus})
        return out

    def send(self, source: int, target: int) -> Found | None:
        """Time a transfer between two ranks; every rank calls it, the two take part."""
        tensor = torch.zeros(self.sizes[-1] // 4, dtype=torch.float32, device=self.device)

        def step() -> None:
            if self.rank == source:
                dist.send(tensor, target)
            elif self.rank == target:
                dist.recv(tensor, source)

        seconds = self.timed(step)
        if self.rank not in (source, target):
            return None
        num_bytes = self.sizes[-1]
        return {"from": source, "to": target, "bytes": num_bytes,
                "bytes_per_s": num_bytes / seconds}  # fmt: skip

    def measure(self) -> None:
        """Measure the links inside the member, then those of the whole group."""
        if self.per_member > 1:
            for member in range(self.members):  # every rank makes every group
                ranks = list(range(member * self.per_member, (member + 1) * self.per_member))
                group = dist.new_group(ranks)
                if member == self.member:
                    own = group
            self.keep(inside=self.all_reduce(own, self.per_member))
            pairs = [self.send(m * self.per_member, m * self.per_member + 1)
                     for m in range(self.members)]  # fmt: skip
            self.keep(pair_inside=next((p for p in pairs if p), None))
        if self.members > 1:
            self.keep(group=self.all_reduce(None, self.size))
            pairs = [self.send(0, m * self.per_member) for m in range(1, self.members)]
            self.keep(pairs_across=[p for p in pairs if p])

    def peers(self) -> list[bool]:
        """Say which of the member's GPUs this one can read directly."""
        return [
            other == self.local or torch.cuda.can_device_access_peer(self.local, other)
            for other in range(self.per_member)
        ]


def transports(log: Path) -> dict[str, int]:
    """Count what NCCL's channels go through, such as NET/IB/0/GDRDMA or P2P/CUMEM."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return {}
    return dict(Counter(re.sub(r"NET/(\w+)/\d+", r"NET/\1", via) for via in VIA.findall(text)))


def main() -> None:
    """Measure until done or out of time."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("local", "ranks", "member", "members", "port", "seconds"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--leader", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--cpu", action="store_true")
    options = parser.parse_args()
    signal.alarm(options.seconds)  # a collective that hangs ends with the process
    rank = Rank(options)
    nccl_log = Path(tempfile.mkdtemp()) / "nccl.log"
    rank.keep()
    try:
        if not rank.is_cpu:
            rank.keep(peers=rank.peers())
        rank.join(options, nccl_log)
        rank.measure()
    except Exception as error:  # noqa: BLE001 - whatever failed is the finding
        rank.keep(error=f"{type(error).__name__}: {error}"[:2000])
        raise SystemExit(1) from None
    finally:
        if not rank.is_cpu:
            rank.keep(transports=transports(nccl_log))
            log = nccl_log.read_text(errors="replace") if nccl_log.exists() else ""
            rank.keep(nccl_warnings=[x[:300] for x in log.splitlines() if "NCCL WARN" in x][:10])
    rank.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
