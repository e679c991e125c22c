"""What `deploy` and `preflight` ask, and how they end."""

import io
import sys

import pytest

from shardwright.cli.deploy import Decision, _confirm, _exit_code
from shardwright.cli.preflight import _tell
from shardwright.deploy.outcome import Outcome, Result
from shardwright.deploy.slots import Slot
from shardwright.deploy.strategy import Strategy, Way
from shardwright.deploy.verification import Verification
from shardwright.model.errors import ExitCode, ShardwrightError
from shardwright.model.finding import Finding, Severity


def decided(way):
    return Decision(
        slot=Slot.OWN, objects=(), changes=(), strategy=Strategy(way=way, reason="no room")
    )


def test_serving_pods_are_not_stopped_unasked_where_nobody_can_be_asked(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(ShardwrightError) as caught:
        _confirm(decided(Way.STOP_THEN_START), yes=False)
    assert caught.value.code == "restart-not-confirmed"
    assert caught.value.exit_code is ExitCode.USAGE
    _confirm(decided(Way.STOP_THEN_START), yes=True)
    _confirm(decided(Way.BESIDE), yes=False)


def test_how_a_deployment_ended_is_its_exit_code():
    differs = Verification(problems=("rank 3: stage planned 1, seen 0",))
    assert _exit_code(None) is ExitCode.DONE
    assert _exit_code(Outcome(result=Result.READY, revision=1)) is ExitCode.DONE
    as_planned = Outcome(result=Result.READY, revision=1, verification=Verification())
    assert _exit_code(as_planned) is ExitCode.DONE
    other = Outcome(result=Result.READY, revision=1, verification=differs)
    assert _exit_code(other) is ExitCode.VERDICT_NO
    assert _exit_code(Outcome(result=Result.FAILED, revision=1)) is ExitCode.FAILURE


@pytest.mark.parametrize(
    ("severity", "code"),
    [
        (Severity.ERROR, ExitCode.VERDICT_NO),
        (Severity.WARNING, ExitCode.DONE),
        (Severity.NOTE, ExitCode.DONE),
    ],
)
def test_preflight_says_no_to_what_would_keep_it_from_starting(severity, code, capsys):
    finding = Finding(code="too-few-gpus", severity=severity, what="2 pods; 1 fits now")
    assert _tell("text", (finding,), None, None) == code
    assert "2 pods; 1 fits now" in capsys.readouterr().out
