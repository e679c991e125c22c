import pytest

from shardwright.launch.arguments import check_extra_args
from shardwright.model.errors import ShardwrightError


def refusal(engine, version, *arguments):
    with pytest.raises(ShardwrightError) as raised:
        check_extra_args(engine, version, arguments)
    return raised.value


def test_removed_flag_is_refused():
    # --swap-space: gone from vLLM's parser at 0.18.1
    error = refusal("vllm", "0.33.0", "--enable-prefix-caching", "--swap-space=4")
    assert error.code == "engine-flag-unknown"
    assert "--swap-space was removed" in error.cause


def test_typing_error_gets_its_nearest_flag():
    assert "--max-num-seqs" in refusal("vllm", "0.33.0", "--max-num-seq5", "8").remedy


def test_flag_of_a_later_release_is_refused():
    assert "later release" in refusal("vllm", "0.6.6", "--nnodes=2").cause


def test_known_flags_and_engines_without_a_whole_list_pass():
    check_extra_args("vllm", "0.33.0", ("--enable-prefix-caching", "--seed", "7"))
    check_extra_args("vllm", "0.6.6", ("--swap-space=4",))
    check_extra_args("tensorrt-llm", "1.2.1", ("--some_new_option", "1"))
    check_extra_args("triton", "26.06", ("--log-verbose=1",))
