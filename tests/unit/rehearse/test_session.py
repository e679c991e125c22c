"""A whole rehearsal over in-memory programs: the order, the proof, and every way it goes wrong."""

from dataclasses import replace

import pytest

from shardwright.drive.memory import MemoryClock, MemoryEndpoint, MemorySupervisor, toy_model
from shardwright.engines.vllm_rehearsal import VLLM_REHEARSAL
from shardwright.model.errors import ShardwrightError
from shardwright.model.request import Mechanism
from shardwright.model.running import Exited, Leftovers, Seat
from shardwright.model.text import SecretValue
from shardwright.rehearse.cluster_drill import Aftermath
from shardwright.rehearse.drill import Drill
from shardwright.rehearse.events import PhaseDone
from shardwright.rehearse.job import Job
from shardwright.rehearse.rendezvous import with_rendezvous
from shardwright.rehearse.resolve import Surroundings
from shardwright.rehearse.session import Session
from shardwright.rehearse.substitution import substitute
from shardwright.rehearse.text import report_text

VOCAB = 100
MODEL = "meta-llama/Llama-3.1-405B-Instruct-FP8"


def worker(index, local, stage, tensor):
    """Two lines of vLLM 0.32.0 as its CPU build wrote them, with other numbers."""
    pid = 100 + index
    rank = f"rank={index} local_rank={local} distributed_init_method=tcp://10.0.0.1:29501"
    return (
        f"(Worker pid={pid}) INFO 11-23 [parallel_state.py:1906] world_size=4 {rank} backend=gloo",
        f"(Worker_PP{stage}_TP{tensor} pid={pid}) INFO 11-23 Starting to load model /m...",
        f"(Worker_PP{stage}_TP{tensor} pid={pid}) INFO 11-23 Loading weights took 0.01 seconds",
    )


def vllm_lines(command):
    if command.name == "ray":
        return ()
    if command.name == "reference":
        return ((3.0, "INFO Application startup complete."),)
    first = 2 * command.member
    lines = [*worker(first, 0, command.member, 0), *worker(first + 1, 1, command.member, 1)]
    if command.member == 0:
        lines += ["INFO CPU KV cache size: 100 tokens", "INFO Application startup complete."]
    return tuple((float(i), line) for i, line in enumerate(lines, start=1))


class Theatre:
    """One session over in-memory adapters."""

    def __init__(self, plan, sub, script=vllm_lines, **options):
        small, changes = substitute(plan, sub, VLLM_REHEARSAL)
        self.clock = MemoryClock()
        seats = tuple(Seat(member=i, address=f"10.0.0.{i + 1}") for i in range(2))
        self.supervisor = MemorySupervisor(seats=seats, clock=self.clock, script=script)
        self.models = [toy_model(0, VOCAB)] * 3
        self.endpoint = MemoryEndpoint(
            model=self.model,
            vocab_size=VOCAB,
            served_name=MODEL,
            is_up=lambda: self.clock.now() > 9,
        )
        self.job = Job(
            deployed=plan,
            plan=with_rendezvous(small),
            changes=changes,
            rules=VLLM_REHEARSAL,
            around=Surroundings(env=(("PATH", "/engine/bin"),), secrets={}),
            version="0.32.0",
            vocab_size=VOCAB,
            nodes="in memory",
            timeout_s=100.0,
            **options,
        )
        self.events = []

    def model(self, before, token):
        """The group's model until it is stopped, then that of what runs next."""
        return self.models[self.supervisor.stops](before, token)

    def run(self):
        session = Session(
            job=self.job, supervisor=self.supervisor, http=self.endpoint, clock=self.clock
        )
        steps = session.run()
        while True:
            try:
                self.events.append(next(steps))
            except StopIteration as done:
                return done.value


@pytest.fixture
def theatre(launch, substitution):
    def make(mechanism=None, **options):
        return Theatre(launch(mechanism=mechanism), substitution, **options)

    return make


def test_a_good_group_passes_and_every_claim_is_there(theatre):
    stage = theatre()
    report = stage.run()
    assert report.passed
    assert [check.name for check in report.checks if check.passed] == [
        "health", "models", "chat", "stream", "batch",
    ]  # fmt: skip
    assert [rank.seen.pid for rank in report.ranks] == [100, 101, 102, 103]
    assert [rank.seen.address for rank in report.ranks] == ["10.0.0.1"] * 2 + ["10.0.0.2"] * 2
    assert report.agreement.num_tokens == 48
    assert report.agreement.is_telling
    assert stage.supervisor.stops == 2
    assert "the rehearsal passed" in report_text(report)


def test_one_thing_that_did_not_hold_fails_the_rehearsal(theatre):
    good = theatre().run()
    aftermath = Aftermath(
        incident="x", title="x", noticed_by=None, noticed_s=None, recovered_s=5.0, limit_s=60.0,
        num_asked=3, num_failed=0, failed_s=None, first_failure="",
    )  # fmt: skip
    drill = Drill(rank=3, member=1, pid=103, in_flight="failed", health_failed_s=1.0,
                  exited_s=None, exited=None, recovered_s=9.0)  # fmt: skip
    assert good.passed
    assert replace(good, aftermaths=(aftermath,), drill=drill).passed
    assert not replace(good, aftermaths=(replace(aftermath, recovered_s=None),)).passed
    assert not replace(good, drill=replace(drill, recovered_s=None)).passed
    assert not replace(good, leftovers=Leftovers(remaining=("process 7",))).passed


def test_commands_are_the_plans_own_with_every_symbol_resolved(theatre):
    stage = theatre()
    stage.run()
    leader, follower, reference = stage.supervisor.started
    tail = ("--nnodes", "2", "--node-rank", "1", "--master-addr", "10.0.0.1")
    at = follower.argv.index("--nnodes")
    assert follower.argv[at : at + 6] == tail
    assert "--headless" in follower.argv
    assert "--headless" not in leader.argv
    assert dict(follower.env)["VLLM_HOST_IP"] == "10.0.0.2"
    assert dict(leader.env)["PATH"] == "/engine/bin"
    assert reference.name == "reference"


def test_phases_carry_time_and_the_deployments_budget(theatre):
    stage = theatre()
    report = stage.run()
    load = next(p for p in report.phases if (p.member, p.phase) == (0, "load"))
    assert load.took_s == pytest.approx(2.0)
    assert load.budget_s == stage.job.deployed.budgets.rendezvous_s
    assert [p.phase for p in report.phases if p.member == 0][-1] == "ready"
    assert any(isinstance(event, PhaseDone) for event in stage.events)


def test_a_reference_that_computes_otherwise_fails_the_rehearsal(theatre):
    stage = theatre()
    stage.models = [toy_model(0, VOCAB), toy_model(1, VOCAB), toy_model(1, VOCAB)]
    report = stage.run()
    assert not report.passed
    assert report.agreement.disagreements
    assert not any("computes what one process" in line for line in report.proved)


def test_a_rank_in_the_wrong_place_fails_the_rehearsal(theatre):
    def swapped(command):
        return tuple((t, s.replace("_TP0", "_TP9")) for t, s in vllm_lines(command))

    report = theatre(script=swapped).run()
    assert not report.passed
    assert "rank 0: tensor rank planned 0, seen 9" in report.ranks[0].differences


def test_a_program_that_dies_is_told_at_once_with_its_own_words(theatre):
    def dying(command):
        if command.member == 0:
            return vllm_lines(command)
        error = "(Worker pid=7) ERROR 11-23 RuntimeError: shm segment too small"
        return ((1.0, "INFO fine so far"), (2.0, error), (2.5, 1))

    stage = theatre(script=dying)
    with pytest.raises(ShardwrightError) as caught:
        stage.run()
    assert caught.value.code == "process-died"
    assert caught.value.what == "vllm of member 1 ended with status 1 after 2 s."
    assert caught.value.cause == "(Worker pid=7) ERROR 11-23 RuntimeError: shm segment too small"
    assert stage.clock.now() < 4


def test_a_kill_from_outside_names_the_signal_and_the_likely_cause(theatre):
    stage = theatre(script=lambda command: ((1.0, -9),) if command.member else vllm_lines(command))
    with pytest.raises(ShardwrightError) as caught:
        stage.run()
    assert "SIGKILL" in caught.value.what
    assert "out of memory" in caught.value.cause


def test_an_answer_from_another_server_does_not_count_as_ready(theatre):
    stage = theatre(script=lambda command: ())
    stage.supervisor.listening = lambda member, port: False
    with pytest.raises(ShardwrightError) as caught:
        stage.run()
    assert caught.value.code == "not-ready-in-time"


def test_a_start_that_hangs_is_cut_off_and_says_what_it_waited_for(theatre):
    stage = theatre(script=lambda command: ())
    stage.endpoint.is_up = lambda: False
    with pytest.raises(ShardwrightError) as caught:
        stage.run()
    assert caught.value.code == "not-ready-in-time"
    assert "member 0 vllm: load" in caught.value.what


def test_ray_workers_wait_for_the_head_and_the_engine_for_ray(theatre):
    stage = theatre(Mechanism.RAY_STATEFULSET, with_comparison=False)
    stage.supervisor.listening = lambda member, port: stage.clock.now() > 5
    names = []
    script = stage.supervisor.script

    def noting(command):
        names.append((command.member, command.name, stage.clock.now() > 5))
        return script(command)

    stage.supervisor.script = noting
    stage.run()
    assert names == [(0, "ray", False), (0, "vllm", True), (1, "ray", True)]


def test_the_drill_kills_the_last_rank_and_the_restart_mends_it(theatre):
    stage = theatre(with_drill=True)
    dead = []

    def on_kill(pid):
        dead.append(stage.clock.now())
        return (Exited(member=1, process="vllm", code=1),)

    stage.supervisor.on_kill = on_kill
    stage.endpoint.is_up = lambda: (
        stage.clock.now() > 9 and (not dead or stage.supervisor.stops > 0)
    )
    report = stage.run()
    assert stage.supervisor.killed == [103]
    assert report.drill.rank == 3
    assert report.drill.exited == "vllm of member 1, status 1"
    assert report.drill.health_failed_s is not None
    assert report.drill.recovered_s is not None
    assert "the loss of rank 3 is noticed, and is mended by a restart of the group" in report.proved
    assert report.passed


def test_a_drill_that_nothing_notices_says_so_and_still_restarts(theatre):
    stage = theatre(with_drill=True)
    report = stage.run()
    assert report.drill.noticed_s is None
    assert "nothing noticed within 90 s" in report_text(report)
    assert [finding.code for finding in report.findings] == ["loss-unnoticed"]
    assert report.drill.recovered_s is not None
    assert "the loss of rank 3 is mended by a restart of the group" in report.proved


def test_an_api_key_is_tried_and_its_absence_refused(theatre):
    stage = theatre()
    plan = stage.job.plan
    secret = SecretValue("keys", "api-key")
    endpoints = tuple(replace(e, api_key=secret) for e in plan.endpoints)
    around = replace(stage.job.around, secrets={("keys", "api-key"): "s3cret"})
    stage.job = replace(stage.job, plan=replace(plan, endpoints=endpoints), around=around)
    stage.endpoint.key = "s3cret"
    report = stage.run()
    assert report.passed
    assert report.checks[-1].name == "key"
