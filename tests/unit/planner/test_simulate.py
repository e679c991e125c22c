"""The replay of a scheduler against schedules worked out by hand."""

import pytest

from shardwright.planner.simulate import MIXED, PREFILL_FIRST, WHOLE_PROMPTS, replay

GRID = [2 ** (i / 4) for i in range(65)]
# one millisecond per token in the batch, nothing else: every schedule can be added up by hand
TOKENS = [n / 1e3 for n in GRID]
NOTHING = [0.0] * len(GRID)
RATES = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def loop(
    concurrency, policy, budget=100.0, capacity=0.0, poll=1.0, depth=0.0, most=1000.0, turns=1.0
):
    return (float(concurrency), float(policy), budget, capacity, poll, 0.0, depth, most, 0.0, turns)


def run(prompts, outputs, how, rates=RATES, due=(-1.0,)):
    lists = ([float(p) for p in prompts], [float(o) for o in outputs])
    residue = [0.0] * int(how[0])
    due = list(due) if len(prompts) > 1 else [-1.0, -1.0]
    return replay(TOKENS, NOTHING, rates, how, *lists, residue, due)


def test_one_request_prefills_then_decodes_token_by_token():
    ttft, tpot, ends, *_ = run([10], [5], loop(1, MIXED))
    assert ttft[0] == pytest.approx(0.010)
    assert tpot[0] == pytest.approx(0.001)
    assert ends[0] == pytest.approx(0.014)


def test_a_prompt_is_cut_to_the_token_budget_and_costs_the_same_sum():
    ttft, *_ = run([250], [2], loop(1, MIXED))
    assert ttft[0] == pytest.approx(0.250)


def test_a_prompt_joins_decode_in_one_step_or_runs_alone():
    prompts, outputs = [10, 10, 20], [11, 3, 5]
    mixed = run(prompts, outputs, loop(2, MIXED))
    alone = run(prompts, outputs, loop(2, PREFILL_FIRST))
    # a burst of 10 + 10 tokens, two decode steps of two, then the third prompt beside one decode
    assert mixed[0] == pytest.approx([0.020, 0.020, 0.021])
    assert alone[0] == pytest.approx([0.020, 0.020, 0.020])
    # request 0 waits 20 ms for the prompt and 2 ms for its next token where the prompt runs alone
    assert max(mixed[3]) == pytest.approx(0.021)
    assert max(alone[3]) == pytest.approx(0.022)


def test_whole_prompts_wait_for_a_step_with_room():
    ttft, *_ = run([60, 60], [2, 2], loop(2, WHOLE_PROMPTS))
    assert ttft == pytest.approx([0.060, 0.060 + 0.061])


def test_batches_on_pipeline_stages_decode_in_turns():
    # two prompts go to two batches; then each batch decodes one sequence per round
    ttft, tpot, *_ = run([10, 10], [3, 3], loop(2, MIXED, turns=2.0))
    assert ttft == pytest.approx([0.010, 0.010])
    assert tpot == pytest.approx([0.001, 0.001])


def test_a_prompt_in_one_batch_holds_up_the_others_in_the_pipeline():
    # burst 10 ms, two rounds of 1 ms, then 40 tokens beside half of the one sequence left
    ttft, _, _, gaps, _ = run([10, 10, 40], [11, 3, 5], loop(2, MIXED, turns=2.0))
    assert ttft[2] == pytest.approx(0.0405)
    assert max(gaps) == pytest.approx(0.0405)


def test_a_long_prompt_fills_the_batches_one_budget_each():
    # 100 tokens in each of the two batches of a round, then 50 in one
    ttft, *_ = run([250], [2], loop(1, MIXED, turns=2.0))
    assert ttft[0] == pytest.approx(0.100 + 0.050)


def test_a_request_waits_for_the_next_batch_not_for_the_whole_round():
    due = (0.0, 0.0, 0.0204)
    # burst until 20 ms, a round of two tokens until 22 ms, then 10 tokens beside two
    alone = run([10, 10, 10], [3, 50, 5], loop(2, MIXED), due=due)[0][2]
    assert alone == pytest.approx(0.022 + 0.012 - 0.0204)
    # one sequence is left, in rounds of 1 ms: 0.6 ms to the next less half a round, as its batch is
    # scheduled while the other runs; then 10 tokens beside half a sequence
    in_turns = run([10, 10, 10], [3, 50, 5], loop(2, MIXED, turns=2.0), due=due)[0][2]
    assert in_turns == pytest.approx(0.0006 - 0.0005 + 0.0105)


def test_a_closed_loop_submits_the_next_request_when_one_ends():
    ttft, _, ends, *_ = run([10, 10, 10], [3, 3, 3], loop(1, MIXED))
    assert ttft == pytest.approx([0.010] * 3)
    assert ends == pytest.approx([0.012, 0.024, 0.036])


def test_a_step_already_decided_delays_what_arrives_during_it():
    due = (0.0, 0.0, 0.0204)
    # a burst until 20 ms, then steps of two tokens; the request comes during the one until 22 ms
    none = run([10, 10, 10], [50, 50, 5], loop(2, MIXED), due=due)
    assert none[0][2] == pytest.approx(0.022 + 0.012 - 0.0204)
    # the step until 24 ms was launched when the one until 22 ms began
    one = run([10, 10, 10], [50, 50, 5], loop(2, MIXED, depth=1.0), due=due)
    assert one[0][2] == pytest.approx(0.024 + 0.012 - 0.0204)


def test_steps_looked_ahead_delay_only_where_some_sequence_runs():
    ahead = (*RATES[:-1], 1.0)
    # one after the other: the engine stands still when the second comes
    ttft, *_ = run([10, 10], [5, 5], loop(1, MIXED), rates=ahead)
    assert ttft == pytest.approx([0.010, 0.010])
    # beside one that decodes at 1 ms a step: that step, and 10 + 1 tokens
    ttft, *_ = run([10, 10, 10], [50, 5, 5], loop(2, MIXED), rates=ahead)
    assert ttft[2] > 0.011
    alone = run([10, 10, 10], [50, 5, 5], loop(2, MIXED))[0]
    assert ttft[2] - alone[2] == pytest.approx(0.002)  # the step of two sequences before it


def test_a_full_cache_makes_requests_wait():
    free = run([50, 50], [20, 20], loop(2, MIXED, capacity=1000.0))
    full = run([50, 50], [20, 20], loop(2, MIXED, capacity=80.0))
    assert free[0][1] == pytest.approx(0.100)
    assert full[0][1] > full[2][0]


def test_no_more_sequences_run_than_allowed():
    _, tpot, *_ = run([10] * 4, [10] * 4, loop(4, MIXED, most=1.0))
    assert tpot == pytest.approx([0.001] * 4)


def test_decode_cost_grows_with_the_cache_as_a_closed_sum():
    # 1 ms per cached token, prompt 10: decode steps see 11, 12, 13 and 14 tokens
    rates = (0.001, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    _, tpot, *_ = run([10], [5], loop(1, MIXED), rates=rates)
    assert tpot[0] * 4 == pytest.approx(0.004 + 0.011 + 0.012 + 0.013 + 0.014)


def test_open_loop_requests_arrive_when_they_are_due():
    ttft, _, ends, *_ = run([10, 10], [2, 2], loop(2, MIXED), due=(1.0, 5.0))
    assert ttft == pytest.approx([0.010, 0.010])
    assert ends == pytest.approx([1.011, 5.011])


def test_an_answer_part_way_out_claims_cache_for_what_is_left_only():
    # 100 + 100 tokens, and 100 + 50 already out + 50 to come: 400 together
    lists = [100.0, 150.0, 100.0], [100.0, 100.0, 100.0], [0.0, 50.0]
    how = loop(2, WHOLE_PROMPTS, budget=1000.0, capacity=400.0)
    ttft, *_ = replay(TOKENS, NOTHING, RATES, how, *lists, [-1.0])
    assert ttft[:2] == pytest.approx([0.250, 0.250])
