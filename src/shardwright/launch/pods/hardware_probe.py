"""What one pod of a group finds of its node before the engine is started on it: one line of JSON.

Runs in the engine's own image, in a pod with the devices a member would get. It looks at GPUs,
memory limits, names, the claim, clocks and RDMA devices by itself, starts `collective_probe.py`
once per GPU to measure links, and prints what it found when its time is up, whatever is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

MARK = "SHARDWRIGHT-HARDWARE "
GPU_FIELDS = (
    "index,name,driver_version,memory.total,memory.used,pci.bus_id,"
    "ecc.errors.uncorrected.volatile.total,ecc.errors.uncorrected.aggregate.total,"
    "clocks_throttle_reasons.hw_slowdown,persistence_mode"
)
CLOCK_ROUNDS = 9
READ_BYTES = 1 << 30
READ_S = 8.0
Found = dict[str, Any]


def run(*argv: str, timeout_s: float = 20.0) -> str:
    """Run a program; empty if there is none or it fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def gpus() -> Found:
    """List the GPUs that nvidia-smi sees, with their error counts, links and topology."""
    names = [name.rpartition(".")[2] if name.startswith("pci") else name
             for name in GPU_FIELDS.split(",")]  # fmt: skip
    table = run("nvidia-smi", f"--query-gpu={GPU_FIELDS}", "--format=csv,noheader,nounits")
    rows = [dict(zip(names, [c.strip() for c in line.split(",")], strict=False))
            for line in table.splitlines() if line.strip()]  # fmt: skip
    links = run("nvidia-smi", "nvlink", "-s")
    per_gpu: list[list[float]] = []
    for line in links.splitlines():
        if line.startswith("GPU "):
            per_gpu.append([])
        elif per_gpu and (rate := re.search(r"Link \d+: ([0-9.]+) GB/s", line)):
            per_gpu[-1].append(float(rate[1]))
    query = run("nvidia-smi", "-q")
    return {
        "gpus": rows,
        "nvlink_gb_per_s": per_gpu,
        "inactive_links": len(re.findall(r"Link \d+: <inactive>", links)),
        "cuda_version": first(r"CUDA Version\s*: ([0-9.]+)", query),
        "fabric": sorted(set(re.findall(r"Fabric\s*\n\s*State\s*: (\S[^\n]*)", query))),
        "remapping_failed": len(re.findall(r"Remapping Failure Occurred\s*: Yes", query)),
        "remapping_pending": len(re.findall(r"Pending\s*: Yes", query)),
        "topology": topology(),
        "xids": xids(),
    }


def topology() -> list[str]:
    """Return the table of links between GPUs and NICs, without colours and legend."""
    table = re.sub(r"\x1b\[[0-9;]*m", "", run("nvidia-smi", "topo", "-m"))
    return [line.rstrip() for line in table.partition("Legend:")[0].splitlines() if line.strip()]


def xids() -> list[str] | None:
    """Return the kernel's Xid lines, None where the pod may not read the kernel's log."""
    try:
        log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    lines: list[str] = []
    try:
        while True:
            lines.append(os.read(log, 8192).decode("utf-8", "replace"))
    except OSError:
        pass
    finally:
        os.close(log)
    return [line.strip()[:300] for line in lines if "NVRM: Xid" in line][-20:]


def first(pattern: str, text: str) -> str | None:
    """Return the first group of the first match."""
    found = re.search(pattern, text)
    return found[1] if found else None


def memory_limits() -> Found:
    """Size of /dev/shm, and how much memory may be locked; bytes, None: unlimited."""
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    try:
        shm = os.statvfs("/dev/shm")  # noqa: S108
        shm_bytes, shm_free = shm.f_blocks * shm.f_frsize, shm.f_bavail * shm.f_frsize
    except OSError:
        shm_bytes, shm_free = 0, 0
    return {
        "shm_bytes": shm_bytes,
        "shm_free_bytes": shm_free,
        "memlock_bytes": None if soft == resource.RLIM_INFINITY else soft,
    }


def rdma() -> list[Found]:
    """List RDMA devices: state, rate, link layer, and whether a process may open them."""
    found = []
    for device in sorted(Path("/sys/class/infiniband").glob("*")):
        port = device / "ports" / "1"
        read = {name: _read(port / name) for name in ("state", "rate", "link_layer")}
        found.append({"name": device.name, **read})
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def names(hosts: list[str], deadline: float) -> Found:
    """Resolve every name of the group, again and again until the deadline; seconds each took."""
    began, waiting = time.monotonic(), list(hosts)
    out: Found = {}
    while waiting:
        for host in list(waiting):
            try:
                socket.getaddrinfo(host, None)
            except OSError as error:
                out[host] = {"error": str(error)}
            else:
                out[host] = {"seconds": round(time.monotonic() - began, 1)}
                waiting.remove(host)
        if not waiting or time.monotonic() > deadline:
            break
        time.sleep(1)
    return out


def tell_time(port: int) -> None:
    """Answer the clock to whoever connects, in a thread that dies with the process."""
    server = socket.create_server(("", port), reuse_port=False)

    def serve() -> None:
        while True:
            peer, _ = server.accept()
            with peer:
                while peer.recv(1):
                    peer.sendall(struct.pack("!d", time.time()))

    threading.Thread(target=serve, daemon=True).start()


def clock_skew(leader: str, port: int, deadline: float) -> Found:
    """Compare clocks with member 0: half of the quickest round trip is the uncertainty, seconds."""
    while True:
        try:
            with socket.create_connection((leader, port), timeout=5) as peer:
                return _skew(peer)
        except OSError as error:
            if time.monotonic() > deadline:
                return {"error": str(error)}
            time.sleep(1)


def _skew(peer: socket.socket) -> Found:
    rounds = []
    for _ in range(CLOCK_ROUNDS):
        before = time.time()
        peer.sendall(b"?")
        answer = peer.recv(8, socket.MSG_WAITALL)
        after = time.time()
        rounds.append((after - before, struct.unpack("!d", answer)[0] - (before + after) / 2))
    trip, offset = min(rounds)
    return {"offset_s": offset, "uncertain_s": trip / 2,
            "round_trip_s": statistics.median(r for r, _ in rounds)}  # fmt: skip


def claim(path: str) -> Found:
    """Read the largest file of the claim for some seconds, past the page cache where possible."""
    files = [p for p in Path(path).rglob("*") if p.is_file()] if Path(path).is_dir() else []
    if not files:
        return {"error": f"{path} holds no file to read"}
    largest = max(files, key=lambda p: p.stat().st_size)
    handle = os.open(largest, os.O_RDONLY)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        began, count = time.monotonic(), 0
        while count < READ_BYTES and time.monotonic() - began < READ_S:
            block = os.read(handle, 16 << 20)
            if not block:
                break
            count += len(block)
        seconds = time.monotonic() - began
    finally:
        os.close(handle)
    return {"file": largest.name, "bytes": count, "bytes_per_s": count / max(seconds, 1e-6)}


def collectives(options: argparse.Namespace, deadline: float) -> Found:
    """Start one process per rank of this pod and gather what they measured."""
    folder = Path(tempfile.mkdtemp())
    child = Path(__file__).with_name("collective_probe.py")
    ranks = []
    for local in range(options.ranks):
        argv = [
            sys.executable, str(child), "--local", str(local), "--ranks", str(options.ranks),
            "--member", str(options.member), "--members", str(options.members),
            "--leader", options.leader, "--port", str(options.port),
            "--seconds", str(max(10, int(deadline - time.monotonic()))),
            "--out", str(folder / f"{local}.json"),
        ]  # fmt: skip
        ranks.append(subprocess.Popen([*argv, *(["--cpu"] if options.cpu else [])],
                                      stdout=sys.stderr))  # fmt: skip
    for each in ranks:
        try:
            each.wait(timeout=max(1.0, deadline - time.monotonic() + 5))
        except subprocess.TimeoutExpired:
            each.kill()
            each.wait()
    out = []
    for local, each in enumerate(ranks):
        path = folder / f"{local}.json"
        found = json.loads(path.read_text()) if path.exists() else {"error": "measured nothing"}
        out.append({"local": local, "exit": each.returncode, **found})
    return {"ranks": out}


def main() -> None:
    """Look at everything, print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--member", type=int, required=True)
    parser.add_argument("--members", type=int, required=True)
    parser.add_argument("--leader", required=True)
    parser.add_argument("--host", action="append", default=[], help="a name of the group")
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--port", type=int, default=29600)
    parser.add_argument("--claim")
    parser.add_argument("--seconds", type=int, default=240)
    parser.add_argument("--cpu", action="store_true")
    options = parser.parse_args()
    deadline = time.monotonic() + options.seconds
    half = deadline - options.seconds / 2  # the rest is for the links
    if options.member == 0:
        tell_time(options.port + 1)
    found: Found = {"member": options.member, "members": options.members,
                    "node": os.environ.get("NODE_NAME") or socket.gethostname()}  # fmt: skip
    found |= {} if options.cpu else gpus()
    found |= {**memory_limits(), "rdma": rdma(), "names": names(options.host, half)}
    found["clock"] = clock_skew(options.leader, options.port + 1, half)
    if options.claim:
        found["claim"] = claim(options.claim)
    found |= collectives(options, deadline)
    print(MARK + json.dumps(found, sort_keys=True), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
