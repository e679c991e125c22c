from shardwright.engines.engine import Refusal
from shardwright.engines.sglang import SGLANG, split_layers
from shardwright.model.launch import TorchStore
from shardwright.model.request import Mechanism


def test_last_stages_get_the_extra_layers():
    # get_pp_indices of sglang at 1107be11: remainder 2 of 126 over 4 goes to ranks 2 and 3
    assert split_layers(126, 4) == (31, 31, 32, 32)
    assert split_layers(80, 2) == (40, 40)


def test_meets_at_a_store_only_when_there_is_somebody_to_meet():
    assert SGLANG.meet("0.5.23", Mechanism.LWS, 1) is None
    assert SGLANG.meet("0.5.23", Mechanism.LWS, 2) == TorchStore(port=20000)


def test_mechanisms_it_cannot_run_under_are_refused_with_what_to_use():
    for mechanism in (Mechanism.RAY_STATEFULSET, Mechanism.KUBERAY, Mechanism.MPI):
        refusal = SGLANG.meet("0.5.23", mechanism, 2)
        assert isinstance(refusal, Refusal)
        assert "lws" in refusal.reason
