from pathlib import Path

from shardwright.model.request import Mechanism
from shardwright.render.objects import MECHANISMS
from shardwright.render.support import LOSS, TITLES, markdown, support

PAGE = Path(__file__).parents[3] / "docs" / "support.md"


def test_page_is_what_the_engines_say(update_golden):
    if update_golden:
        PAGE.write_text(markdown())
    assert PAGE.read_text() == markdown()


def test_every_mechanism_is_rendered_named_and_says_what_happens_on_loss():
    assert set(MECHANISMS) == set(TITLES) == set(LOSS) == set(Mechanism)


def test_table_is_the_one_promised():
    # the table of the README's promise: engine, release -> mechanisms it runs under
    yes = {
        (row[0].engine, row[0].version): {c.mechanism.value for c in row if c.is_supported}
        for row in support()
    }
    ray = {"ray-statefulset", "kuberay"}
    assert yes["vllm", "0.33.0"] == {"deployment", "statefulset", "lws"} | ray
    assert yes["vllm", "0.6.6"] == {"deployment", "lws"} | ray
    assert yes["sglang", "0.5.23"] == {"deployment", "statefulset", "lws"}
    for name, version in (
        ("tensorrt-llm", "1.2.1"),
        ("triton", "26.06"),
        ("triton-engines", "26.06"),
    ):
        assert yes[name, version] == {"deployment", "lws", "mpi"}
    assert all(cell.meeting.reason for row in support() for cell in row if not cell.is_supported)
