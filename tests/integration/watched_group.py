"""Leader and worker of a rendered LeaderWorkerSet on loopback: watch, probes, preStop as written.

Only ports, places of files and periods are changed, so that they fit here and tests are short.
"""

import http.server
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import yaml

from shardwright.render.pods import group, leave

MANIFEST = (
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


class Engine(http.server.BaseHTTPRequestHandler):
    """Answers /health, or hangs; /metrics tells how many requests are in flight."""

    def do_GET(self):
        body = b""
        if self.path == "/metrics":
            body = b'vllm:num_requests_running{engine="0"} %d.0\n' % self.server.in_flight
        else:
            self.server.hung.wait()
        self.send_response(200 if self.path in {"/health", "/metrics"} else 404)
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/health":
            self.server.served.set()

    def log_message(self, *_):
        pass


class WatchedGroup:
    """Leader (0) and worker (1). Close it at the end."""

    def __init__(self, folder):
        spec = yaml.safe_load(MANIFEST.read_text())["spec"]["leaderWorkerTemplate"]
        self.containers = [
            spec[name]["spec"]["containers"][0] for name in ("leaderTemplate", "workerTemplate")
        ]
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.engine = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Engine)
        self.engine.daemon_threads = True
        self.engine.served, self.engine.hung = threading.Event(), threading.Event()
        self.engine.hung.set()
        self.engine.in_flight = 0
        threading.Thread(target=self.engine.serve_forever, daemon=True).start()
        self.running = []

    def start(self, member):
        """Start one watch."""
        script = self.containers[member]["args"][0]
        (line,) = [line for line in script.splitlines() if "group.py" in line]
        return self._run(f"exec {line.removesuffix(' & pids+=($!)')}", member)

    def meet(self):
        """Start both; return the leader's watch once it was greeted."""
        leader = self.start(0)
        self.start(1)
        await_greetings("127.0.0.1", self.port)
        return leader

    def end(self, member):
        """Run the preStop of a member, as the kubelet would; return what still runs."""
        line = self.containers[member]["lifecycle"]["preStop"]["exec"]["command"][2]
        return self._run(line, member)

    def asked(self, member, probe):
        """Ask a probe once: whether it passes, and what it says."""
        argv = self.containers[member][probe]["exec"]["command"]
        done = subprocess.run(
            [self._placed(word, member) for word in argv],
            capture_output=True, text=True, check=False, env=self._environment(member),
        )  # fmt: skip
        return done.returncode == 0, done.stdout.strip()

    def close(self):
        """End all that runs."""
        for process in self.running:
            process.kill()
            process.wait()
            process.stdout.close()
        self.engine.hung.set()
        self.engine.shutdown()
        self.engine.server_close()

    def _run(self, line, member):
        command = ["/bin/bash", "-c", self._placed(line, member)]
        process = subprocess.Popen(
            command, env=self._environment(member), stdout=subprocess.PIPE, text=True
        )
        self.running.append(process)
        return process

    def _environment(self, member):
        return {"LWS_WORKER_INDEX": str(member), "LWS_LEADER_ADDRESS": "localhost"}

    def _placed(self, text, member):
        for name in ("broken", "leaving"):
            here = str(self.folder / f"{name}-{member}")
            text = text.replace(f"/tmp/shardwright-group-{name}", here)
        text = text.replace("/etc/shardwright/group.py", group.__file__)
        text = text.replace("/etc/shardwright/leave.py", leave.__file__)
        text = text.replace("python3 ", f"{shlex.quote(sys.executable)} ")
        text = text.replace("--port=29599", f"--port={self.port} --period-s=0.1")
        text = text.replace("--broken-file", "--patience-s=5 --quiet-s=1 --broken-file")
        text = re.sub(
            r"(--(?:health|metrics)-port=|/127.0.0.1/)\d+", rf"\g<1>{self.engine.server_port}", text
        )
        text = re.sub(r"--health-period-s=\d+", "--health-period-s=0.1", text)
        text = re.sub(r"--health-timeout-s=\d+", "--health-timeout-s=0.5", text)
        return re.sub(r"--health-patience-s=\d+", "--health-patience-s=5", text)
