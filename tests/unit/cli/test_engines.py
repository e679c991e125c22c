"""Installing engines by name, as the reasons of skipped tests tell to."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from shardwright.cli import engines
from shardwright.drive.environment import Environment
from shardwright.engines.cpu_environment import EngineLock
from shardwright.model.errors import ShardwrightError


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []

    def install(lock: EngineLock, _: object) -> Environment:
        seen.append(lock.engine)
        programs = Path("/cache") / lock.engine / "bin"
        return Environment(
            engine=lock.engine, version=lock.version, programs=programs, is_ours=True
        )

    monkeypatch.setattr(engines.environment, "install", install)
    return seen


@pytest.mark.parametrize(
    ("names", "expected"), [([], ["vllm"]), (["aiperf", "vllm"], ["aiperf", "vllm"])]
)
def test_engines_are_installed_in_the_order_they_are_named(
    installed: list[str], names: list[str], expected: list[str]
) -> None:
    done = CliRunner().invoke(engines.command, ["install", *names], catch_exceptions=False)
    assert installed == expected
    assert done.stdout.splitlines() == [f"/cache/{each}" for each in expected]


def test_a_name_that_is_none_is_told_before_anything_is_installed(installed: list[str]) -> None:
    with pytest.raises(ShardwrightError):
        CliRunner().invoke(engines.command, ["install", "vllm", "nope"], catch_exceptions=False)
    assert installed == []
