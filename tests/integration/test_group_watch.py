"""The watch that keeps a group together: real members on loopback, started as rendered."""

import http.server
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from shardwright.render.pods import group

GROUP = (
    Path(__file__).parents[1]
    / "golden/render/vllm-lws/expected/leaderworkerset-llama-405b-group.yaml"
)


TIME_WAIT = "06"
"""Number of the state in /proc/net/tcp. Source: Linux, include/net/tcp_states.h."""


def await_greetings(address, port, times=3, within_s=60.0):
    """Wait until greetings to an address were answered: Linux remembers closed connections 60 s.

    The leader takes a worker for one of its generation from the second greeting on.
    """
    place = f"{int.from_bytes(socket.inet_aton(address), 'little'):08X}:{port:04X}"
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        if sum(place in row[1:3] and row[3] == TIME_WAIT for row in rows) >= times:
            return
        time.sleep(0.1)
    raise AssertionError(f"{times} greetings to {address} port {port} did not come")


@pytest.fixture
def members(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    running = {}

    def start(index):
        # every worker greets the leader at an address of its own, so that they can be told apart
        argv = [sys.executable, group.__file__, f"--index={index}", f"--leader=127.0.0.{1 + index}"]
        argv += [f"--port={port}", f"--broken-file={tmp_path / str(index)}"]
        running[index] = subprocess.Popen([*argv, "--period-s=0.1", "--patience-s=5"])

    for index in range(3):
        start(index)
    for index in (1, 2):
        await_greetings(f"127.0.0.{1 + index}", port)
    yield running, start, tmp_path
    for process in running.values():
        process.kill()
        process.wait()


def broken(folder, index, within_s=120.0):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if (folder / str(index)).exists():
            time.sleep(0.05)
            return (folder / str(index)).read_text().strip()
        time.sleep(0.05)
    return None


def test_real_members_notice_a_lost_worker_and_settle_once_all_started_again(members):
    running, start, folder = members
    assert broken(folder, 0, within_s=1.0) is None
    running[2].kill()
    running[2].wait()
    assert "member 2 has been silent" in broken(folder, 0)
    running[0].kill()
    running[0].wait()
    start(0)  # as the liveness probe would
    assert broken(folder, 1) == "the leader was restarted"
    for index in (1, 2):
        running[index].kill()
        running[index].wait()
        start(index)
    time.sleep(5)
    assert [broken(folder, index, within_s=0.1) for index in range(3)] == [None, None, None]


class Engine(http.server.BaseHTTPRequestHandler):
    """Answers /health, or hangs."""

    def do_GET(self):
        self.server.hung.wait()
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
        self.server.served.set()

    def log_message(self, *_):
        pass


@pytest.fixture
def group_of_two(tmp_path):
    """Leader and worker of a LeaderWorkerSet: the watch and the probe as rendered, on free ports.

    Yields meet(), which starts both and returns the leader once it was greeted, start(member),
    which starts one watch, alive(member), the verdict of its liveness probe, and the engine.
    """
    spec = yaml.safe_load(GROUP.read_text())["spec"]["leaderWorkerTemplate"]
    containers = [
        spec[name]["spec"]["containers"][0] for name in ("leaderTemplate", "workerTemplate")
    ]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    engine = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    engine.daemon_threads = True
    engine.served, engine.hung = threading.Event(), threading.Event()
    engine.hung.set()
    threading.Thread(target=engine.serve_forever, daemon=True).start()
    running = {}

    def placed(text, member):
        text = text.replace("/tmp/shardwright-group-broken", str(tmp_path / f"broken-{member}"))
        text = text.replace("/etc/shardwright/group.py", group.__file__)
        text = text.replace("python3 ", f"{shlex.quote(sys.executable)} ")
        text = text.replace("--port=29599", f"--port={port} --period-s=0.1 --patience-s=5")
        text = re.sub(r"--health-port=\d+", f"--health-port={engine.server_port}", text)
        text = re.sub(r"--health-period-s=\d+", "--health-period-s=0.1", text)
        text = re.sub(r"--health-timeout-s=\d+", "--health-timeout-s=0.5", text)
        return re.sub(r"--health-patience-s=\d+", "--health-patience-s=5", text)

    def start(member):
        (line,) = [
            line for line in containers[member]["args"][0].splitlines() if "group.py" in line
        ]
        command = placed(line.removesuffix(" & pids+=($!)"), member)
        env = {"LWS_WORKER_INDEX": str(member), "LWS_LEADER_ADDRESS": "localhost"}
        running[member] = subprocess.Popen(["/bin/bash", "-c", f"exec {command}"], env=env)
        return running[member]

    def alive(member):
        argv = containers[member]["livenessProbe"]["exec"]["command"]
        probe = subprocess.run(
            [placed(word, member) for word in argv], capture_output=True, text=True, check=False
        )
        return probe.returncode == 0, probe.stdout.strip()

    def meet():
        leader = start(0)
        start(1)
        await_greetings("127.0.0.1", port)
        return leader

    yield meet, start, alive, engine
    for process in running.values():
        process.kill()
        process.wait()
    engine.shutdown()
    engine.server_close()


def eventually(alive, member, within_s=120.0):
    """What the liveness probe of a member says once it fails, or None."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        well, why = alive(member)
        if not well and why:
            return why
        time.sleep(0.1)
    return None


def stays_alive(alive, seconds=3.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert alive(0) == (True, "")
        assert alive(1) == (True, "")
        time.sleep(0.2)


def test_worker_alone_and_then_a_healthy_group_pass_their_liveness(group_of_two):
    _, start, alive, engine = group_of_two
    engine.hung.clear()  # as one that loads its weights: nothing answers yet
    start(1)
    stays_alive(alive)
    start(0)
    stays_alive(alive)
    engine.hung.set()
    stays_alive(alive)


def test_worker_whose_leader_is_gone_fails_its_liveness(group_of_two):
    meet, _, alive, _ = group_of_two
    leader = meet()
    stays_alive(alive, seconds=1)
    leader.kill()
    leader.wait()
    assert "the leader has been silent" in eventually(alive, 1)


def test_worker_of_a_hung_leader_fails_its_liveness(group_of_two):
    meet, _, alive, _ = group_of_two
    leader = meet()
    stays_alive(alive, seconds=1)
    leader.send_signal(signal.SIGSTOP)
    assert "the leader has been silent" in eventually(alive, 1)


def test_worker_whose_leader_is_another_one_fails_its_liveness(group_of_two):
    meet, start, alive, _ = group_of_two
    leader = meet()
    stays_alive(alive, seconds=1)
    leader.kill()
    leader.wait()
    start(0)
    assert eventually(alive, 1) == "the leader was restarted"


def test_leader_whose_engine_hangs_after_it_served_fails_its_liveness(group_of_two):
    meet, _, alive, engine = group_of_two
    meet()
    assert engine.served.wait(60)
    stays_alive(alive, seconds=1)
    engine.hung.clear()
    assert "the engine has failed its health check" in eventually(alive, 0)
    engine.hung.set()
