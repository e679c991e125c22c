"""The examples with the real engine on the CPU: minutes each, and what all the rest is for."""

import json
import os
import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.rehearsal
EXAMPLES = Path(__file__).parents[2] / "examples"
SPEC = "llama-3.1-405b.yaml"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root here")


@pytest.fixture(autouse=True)
def _shared_memory_of_the_engine(leftovers):
    """Look for what vLLM leaves; a machine where others run it too fails these tests by that."""
    leftovers.shm_names = ("psm_", "vllm_dist_")
    leftovers.before = leftovers.now()


def rehearse(real, spec, *options):
    code, out, err = real.run(spec, *options, "-o", "json")
    assert out, err
    return code, json.loads(out)["rehearsal"], err


def assert_proved(report, err, num_ranks):
    failed = [check for check in report["checks"] if not check["passed"]]
    assert failed == [], err
    assert [rank["differences"] for rank in report["ranks"]] == [[]] * num_ranks, err
    for rank in report["ranks"]:
        assert rank["seen"]["layers"] == rank["planned"]["layers"]
        assert rank["seen"]["tensor"] == rank["planned"]["tensor"]
        assert rank["seen"]["pipeline"] == rank["planned"]["pipeline"]
    assert report["leftovers"]["remaining"] == []


def assert_agrees(report):
    agreement = report["agreement"]
    assert agreement["disagreements"] == []
    assert agreement["num_tokens"] == 48
    # an unrelated model would be off by about the margin
    assert agreement["margin"] > 4 * agreement["tolerance"]


def test_405b_as_2x2_processes_is_proved_against_one_process(real, leftovers):
    code, report, err = rehearse(real, SPEC)
    assert_proved(report, err, 4)
    assert_agrees(report)
    assert code == 0
    assert {use["member"] for use in report["usage"]} == {0, 1}
    assert all(use["memory_bytes"] > 2**29 for use in report["usage"])
    leftovers.assert_none()


@needs_root
def test_members_in_namespaces_meet_without_ray_and_survive_the_loss_of_a_rank(real, leftovers):
    code, report, err = rehearse(real, SPEC, "--nodes", "namespaces", "--drill", "--no-compare")
    assert_proved(report, err, 4)
    assert {rank["seen"]["address"] for rank in report["ranks"]} == {"10.213.0.1", "10.213.0.2"}
    drill = report["drill"]
    assert drill["rank"] == 3
    assert drill["exited_s"] is not None, err
    assert drill["recovered_s"] is not None, err
    assert code == 0
    leftovers.assert_none()


@needs_root
def test_members_in_namespaces_meet_over_ray(real, leftovers, tmp_path):
    spec = tmp_path / "ray.yaml"
    spec.write_text((EXAMPLES / SPEC).read_text() + "  launch: ray-statefulset\n")
    code, report, err = rehearse(real, spec, "--nodes", "namespaces", "--no-compare")
    assert_proved(report, err, 4)
    assert [rank["seen"]["member"] for rank in report["ranks"]] == [0, 0, 1, 1]
    assert code == 0
    leftovers.assert_none()


def test_a_mixture_of_experts_on_one_node(real, leftovers):
    code, report, err = rehearse(real, "qwen3-30b-a3b.yaml")
    assert_proved(report, err, len(report["ranks"]))
    assert_agrees(report)
    assert code == 0
    leftovers.assert_none()


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGKILL])
def test_the_real_engine_is_gone_when_it_is_interrupted_while_it_loads(real, leftovers, signal_):
    process = real.start(SPEC, "--no-compare")
    real.wait_for(process, "load in", within_s=400)
    process.send_signal(signal_)
    process.communicate(timeout=240)
    leftovers.assert_none()
