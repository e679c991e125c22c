"""Start scripts are run, not compared: bash is what they are for."""

import subprocess

from shardwright.render.script import Step, script


def run(*steps, timeout=20):
    done = subprocess.run(
        ["bash", "-c", script(steps)], capture_output=True, text=True, timeout=timeout, check=False
    )
    return done.returncode, done.stdout.split(), done.stderr


def test_setup_runs_before_the_program_that_stays():
    assert run(Step(command="echo one", stays=False), Step(command="echo two", stays=True)) == (
        0, ["one", "two"], "",
    )  # fmt: skip


def test_failed_setup_starts_nothing():
    code, out, _ = run(Step(command="exit 7", stays=False), Step(command="echo two", stays=True))
    assert (code, out) == (7, [])


def test_container_ends_when_any_program_ends_and_says_its_status():
    code, _, _ = run(
        Step(command="sleep 60", stays=True), Step(command="bash -c 'exit 3'", stays=True)
    )
    assert code == 3


def test_program_that_needs_a_dead_port_is_not_started():
    code, out, err = run(
        Step(command="echo started", stays=True, needs=("127.0.0.1", 1), patience_s=1)
    )
    assert (code, out) == (1, [])
    assert "no answer from port 1 within 1 s" in err
