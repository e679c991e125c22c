"""Loading good specs, positions, and no traceback for any mangled one."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardwright.model.errors import ShardwrightError
from shardwright.model.request import FabricKind, Mechanism
from shardwright.spec.load import load
from shardwright.spec.schema import json_schema
from shardwright.spec.source import read_source
from shardwright.spec.starter import Answers, starter

EXAMPLES = Path(__file__).parents[3] / "examples"
TEXT = (EXAMPLES / "llama-3.1-405b.yaml").read_text()


def test_the_405b_example_says_what_its_file_says():
    request = load(TEXT, "spec.yaml").request
    assert request.name == "llama-405b"
    assert request.model.id == "meta-llama/Llama-3.1-405B-Instruct-FP8"
    assert (request.parallelism.tensor, request.parallelism.pipeline) == (8, 2)
    assert request.cluster.fabric.kind is FabricKind.INFINIBAND
    assert request.cluster.fabric.bits_per_s == 400_000_000_000
    assert request.slo.ttft_s == 2.0
    assert request.launch is None


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.name)
def test_every_example_loads(path):
    load(path.read_text(), path.name)


def test_the_smallest_spec_is_model_and_cluster():
    text = "spec: {model: {id: a/Llama-3}, cluster: {gpu: H100-SXM}}"
    request = load(text, "s.yaml").request
    assert (request.name, request.namespace) == ("llama-3", "default")


def test_yaml_words_that_are_not_booleans_stay_text():
    source = read_source("a: no\nb: on\nc: 010\nd: 1_000\ne: 0x10\nf: 12:30\n", "s")
    assert source.value == {
        "a": "no", "b": "on", "c": "010", "d": "1_000", "e": "0x10", "f": "12:30",
    }  # fmt: skip


def test_quoted_numbers_are_text_and_plain_ones_are_numbers():
    source = read_source("a: '8'\nb: 8\nc: 1e3\nd: -0.5\ne: ~\n", "s")
    assert source.value == {"a": "8", "b": 8, "c": 1000.0, "d": -0.5, "e": None}


def test_a_place_is_the_line_of_the_field():
    loaded = load(TEXT, "spec.yaml")
    line = 1 + [row.strip().startswith("gpu:") for row in TEXT.splitlines()].index(True)
    assert str(loaded.place("cluster", "gpu")).startswith(f"spec.yaml:{line}")
    assert loaded.place("cluster", "nodeSelector").line == line - 1  # absent: its parent's


def test_launch_words_are_the_mechanisms():
    words = json_schema()["$defs"]["Spec"]["properties"]["launch"]["enum"]
    assert set(words) == {"auto", *(m.value for m in Mechanism)}


def test_every_field_is_described_for_editors():
    schema = json_schema()
    bare = [
        f"{name}.{field}"
        for name, definition in schema["$defs"].items()
        for field, value in definition["properties"].items()
        if "description" not in value and "$ref" not in value
    ]
    assert bare == []


@pytest.mark.parametrize("nodes", [1, 4])
@pytest.mark.parametrize("fabric", [None, "roce-200g"])
def test_a_starter_loads_as_it_is(nodes, fabric):
    answers = Answers(
        model="Qwen/Qwen3-32B", gpu="L40S", gpus_per_node=4, nodes=nodes, fabric=fabric,
        concurrency=8,
    )  # fmt: skip
    request = load(starter(answers), "spec.yaml").request
    assert (request.name, request.cluster.nodes) == ("qwen3-32b", nodes)


@given(data=st.data())
def test_no_mangled_spec_ends_in_a_traceback(data):
    text = TEXT
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 30))
        junk = data.draw(
            st.one_of(
                st.text(max_size=8),
                st.sampled_from(
                    ["{", "}", "[", ": ", "- ", "&a ", "*a", "!!int ", "\t", "? ", "null"]
                ),
            )
        )
        text = text[:start] + junk + text[start + length :]
    with contextlib.suppress(ShardwrightError):
        load(text, "spec.yaml")


@given(st.text(max_size=60))
def test_no_text_ends_in_a_traceback(text):
    with contextlib.suppress(ShardwrightError):
        load(text, "spec.yaml")
