"""Whatever happens to a rehearsal, nothing of it stays: processes, shared memory, namespaces."""

import http.server
import json
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

SPEC = "llama-3.1-405b.yaml"
MODES = ("processes", "namespaces")


def spec_with(stand_in, env):
    """The example with an environment for the stand-in; the user's own is not passed on."""
    spec = stand_in.out.parent / "spec.yaml"
    example = (Path(__file__).parents[2] / "examples" / SPEC).read_text()
    engine = f"engine: {{name: vllm, env: {{{env}}}}}"
    spec.write_text(example.replace("engine: {name: vllm}", engine))
    return spec


@pytest.fixture(params=MODES)
def nodes(request):
    if request.param == "namespaces" and os.geteuid() != 0:
        pytest.skip("network namespaces need root here")
    return request.param


def test_a_rehearsal_leaves_nothing(stand_in, leftovers, nodes):
    code, out, err = stand_in.run(SPEC, "--nodes", nodes, "-o", "json")
    leftovers.assert_none()
    report = json.loads(out)["rehearsal"]
    assert [r["differences"] for r in report["ranks"]] == [[], [], [], []], err
    assert report["leftovers"]["remaining"] == []
    assert report["leftovers"]["removed"]
    addresses = {r["seen"]["address"] for r in report["ranks"]}
    assert len(addresses) == (2 if nodes == "namespaces" else 1)
    assert all(use["shm_bytes"] >= 1 << 20 for use in report["usage"])
    # tokens as likely as by chance tell nothing of a split: agreement must not count as a proof
    assert not any("computes what one process" in line for line in report["proved"])
    assert code == 0


@pytest.mark.parametrize("moment", ["started", "load in", "Asking the endpoint", "Stopping every"])
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_at_any_moment_it_leaves_nothing(stand_in, leftovers, nodes, moment, signal_):
    process = stand_in.start(SPEC, "--nodes", nodes)
    stand_in.wait_for(process, moment)
    process.send_signal(signal_)
    out, err = process.communicate(timeout=240)
    leftovers.assert_none()
    expected = -signal.SIGKILL if signal_ == signal.SIGKILL else 130
    assert process.returncode == expected, (out, err)
    assert "Traceback" not in err


def test_a_second_interrupt_does_not_skip_the_clean_up(stand_in, leftovers):
    process = stand_in.start(SPEC)
    stand_in.wait_for(process, "load in")
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    process.communicate(timeout=240)
    leftovers.assert_none()
    assert process.returncode == 130


def guardian_of(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = {int(c): Path(f"/proc/{c}/cmdline").read_bytes() for c in children}
    return next(child for child, line in lines.items() if b"shardwright.drive.guardian" in line)


def test_a_killed_guardian_leaves_no_process(stand_in, leftovers):
    process = stand_in.start(SPEC)
    stand_in.wait_for(process, "load in")
    os.kill(guardian_of(process.pid), signal.SIGKILL)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 3
    assert "guardian-gone" in err
    now = leftovers.now()
    assert now["processes"] <= leftovers.before["processes"]
    for name in now["shm"] - leftovers.before["shm"]:  # who would have swept it was killed
        (Path("/dev/shm") / name).unlink()


def test_a_member_that_dies_is_told_and_leaves_nothing(stand_in, leftovers, nodes):
    code, _, err = stand_in.run(spec_with(stand_in, "STAND_IN_DIES: '1'"), "--nodes", nodes)
    leftovers.assert_none()
    assert code == 3
    assert "error: process-died" in err
    assert "vllm of member 1 ended with status 7" in err
    assert "RuntimeError: no room in /dev/shm" in err
    assert "Traceback" not in err


def test_a_port_in_use_is_named_with_its_owner_before_anything_starts(stand_in, leftovers):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 8000))
        taken.listen()
        code, _, err = stand_in.run(SPEC)
        assert code == 3
        assert "error: port-in-use" in err
        assert f"(process {os.getpid()})" in err
        assert "started" not in err
        if os.geteuid() == 0:
            code, _, err = stand_in.run(SPEC, "--nodes", "namespaces", "--no-compare")
            assert code == 0, err
    leftovers.assert_none()


class Impostor(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_server_that_takes_the_port_meanwhile_is_not_taken_for_ours(stand_in, leftovers):
    process = stand_in.start(spec_with(stand_in, "STAND_IN_SLOW_S: '3'"))
    stand_in.wait_for(process, "started")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Impostor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _, err = process.communicate(timeout=240)
        server.shutdown()
    assert process.returncode == 3
    assert "Address already in use" in err
    leftovers.assert_none()


def test_a_half_installed_engine_is_named_before_anything_starts(stand_in, leftovers):
    (stand_in.out.parent / "engine" / "bin" / "vllm").unlink()
    code, _, err = stand_in.run(SPEC)
    assert code == 3
    assert "error: engine-incomplete" in err
    assert "started" not in err
    leftovers.assert_none()
