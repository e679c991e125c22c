"""The parts of the vLLM plugin that need no vLLM, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import shardwright.engines

PLUGIN = Path(shardwright.engines.__file__).parent / "vllm_cpu_plugin"

FORK = """
import os, socket
from shardwright_vllm_cpu.inherited import let_go_of_sockets_in_children
let_go_of_sockets_in_children()
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
child = os.fork()
if child == 0:
    kinds = [os.readlink(f"/proc/self/fd/{s.fileno()}").split(":")[0] for s in (server, client)]
    os._exit(0 if kinds == ["/dev/null", "socket"] else 1)
assert os.waitpid(child, 0)[1] == 0, "the child kept the listening socket, or lost the other one"
port = server.getsockname()[1]
server.close()
try:
    socket.create_connection(("127.0.0.1", port), timeout=1)
except ConnectionRefusedError:
    print("refused")
"""


def run(code, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SHARDWRIGHT", "PYTHON"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean, "PYTHONPATH": str(PLUGIN), **env},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_forked_rank_does_not_keep_the_http_port():
    ran = run(FORK)
    assert (ran.stdout.strip(), ran.stderr) == ("refused", "")


def test_the_plugin_is_found_as_a_platform_and_sleeps_outside_a_rehearsal():
    code = """
from importlib.metadata import entry_points
(point,) = entry_points(group="vllm.platform_plugins")
print(point.load()())
"""
    assert run(code).stdout.strip() == "None"
    awake = run(code, SHARDWRIGHT_RANKS_PER_NODE="2").stdout.strip()
    assert awake == "shardwright_vllm_cpu.platform.RehearsalCpuPlatform"
