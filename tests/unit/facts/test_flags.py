import pytest

from shardwright.facts.flags import Standing, catalog, removed_metrics
from shardwright.model.version import parse_version


@pytest.mark.parametrize(
    ("engine", "flag", "version", "standing"),
    [
        ("vllm", "--tensor-parallel-size", "0.6.6", Standing.KNOWN),
        ("vllm", "--swap-space", "0.6.6", Standing.KNOWN),
        ("vllm", "--swap-space", "0.33.0", Standing.REMOVED),
        ("vllm", "--nnodes", "0.6.6", Standing.NOT_YET),
        ("vllm", "--nnodes", "0.11.1", Standing.KNOWN),
        ("vllm", "--nnodes", "0.99.0", Standing.KNOWN),
        ("vllm", "--no-such-flag", "0.33.0", Standing.NEVER),
        ("vllm", "--no-such-flag", "0.99.0", Standing.UNSURE),
        ("vllm", "--no-enable-prefix-caching", "0.33.0", Standing.KNOWN),
        ("vllm", "--disable-log-requests", "0.20.0", Standing.REMOVED),
        ("vllm", "--tensor-parallel", "0.9.2", Standing.KNOWN),  # argparse takes prefixes
        ("vllm", "--enable-chunked-prefill", None, Standing.KNOWN),
        ("sglang", "--cuda-graph-max-bs", "0.5.20", Standing.REMOVED),
        ("sglang", "--tp-size", "0.5.3", Standing.KNOWN),
        ("tensorrt-llm", "--tp-size", "1.1.0", Standing.KNOWN),
        ("tensorrt-llm", "--no-such-flag", "1.1.0", Standing.UNSURE),
    ],
)
def test_standing(engine, flag, version, standing):
    assert catalog(engine).standing(flag, version and parse_version(version)) is standing


def test_between_two_samples_nobody_can_tell():
    # read at 0.18.1 without and at 0.17.1 with it: 0.17.5 may be either
    assert catalog("vllm").standing("--swap-space", parse_version("0.17.5")) is Standing.UNSURE


def test_replacements_exist_in_the_release():
    vllm = catalog("vllm")
    version = parse_version("0.33.0")
    assert vllm.replacement("--cuda-graph-sizes", version).instead == "--cudagraph-capture-sizes"
    sglang = catalog("sglang")
    assert (
        sglang.replacement("--nsa-decode", parse_version("0.5.6")).instead == "--nsa-decode-backend"
    )


def test_every_replacement_is_a_flag_the_engine_had_after_the_removal():
    for engine in ("vllm", "sglang"):
        found = catalog(engine)
        for replacement in found.replacements.values():
            assert replacement.flag in found.flags
            name = replacement.instead.split(" ")[0].partition(".")[0]
            assert not name or name in found.flags, replacement


def test_metrics_that_are_gone():
    assert removed_metrics()["vllm:gpu_cache_usage_perc"].removed == parse_version("0.12.0")
    assert "vllm:prompt_tokens_total" not in removed_metrics()  # still exposed under this name
