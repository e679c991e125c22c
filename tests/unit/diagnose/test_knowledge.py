"""Every cause proves itself on its own example, and the knowledge keeps its rules."""

import re
from pathlib import Path

import pytest
import re2

from shardwright.diagnose.causes import load_benign, load_causes
from shardwright.diagnose.doctor import examine
from shardwright.diagnose.evidence import Document, Hit, Source
from shardwright.diagnose.pages import all_pages
from shardwright.diagnose.planned import CONDITIONS, Planned
from shardwright.diagnose.predicates import PREDICATES
from shardwright.diagnose.ranking import CONFIDENT

CAUSES = load_causes()
EXAMPLES = [(c, n) for c in CAUSES for n in range(len(c.examples))]


def diagnose_text(text, links=None):
    field = Hit(document="spec.yaml", block=0, source=Source.MANIFEST, line=7, text="cluster:")
    lines = dict.fromkeys(("cluster.gpu", "cluster.fabric"), field)
    planned = Planned(links=links, lines=lines) if links else None
    return examine([Document(name="evidence.txt", chunks=[text.encode()])], planned=planned)


@pytest.mark.parametrize(("cause", "number"), EXAMPLES, ids=lambda v: getattr(v, "code", str(v)))
def test_example_leads_to_its_cause(cause, number):
    first = diagnose_text(cause.examples[number], cause.example_links).findings[0]
    assert first.code == cause.code
    assert (first.confidence >= CONFIDENT) or cause.yields or first.confidence >= 0.5


@pytest.mark.parametrize("cause", CAUSES, ids=lambda c: c.code)
def test_cause_is_well_formed(cause):
    names = [s.name.rsplit(".", 1)[1] for s in cause.signals]
    codes = {c.code for c in CAUSES} | {c.family for c in CAUSES}
    assert re.fullmatch(r"[a-z0-9-]+", cause.code)
    assert all(0 <= s.weight < 1 for s in cause.signals)
    assert {n for s in cause.signals for n in (*s.needs, *s.without)} <= set(names)
    assert {n for group in cause.requires for n in group} | set(cause.unless) <= set(names)
    assert all(s.predicate is None or s.predicate in PREDICATES for s in cause.signals)
    assert all(s.when is None or s.when in CONDITIONS for s in cause.signals)
    assert cause.explains <= codes | {"engine-flags"}
    assert cause.family not in cause.explains
    found = diagnose_text(cause.examples[0], cause.example_links).findings
    assert "?" not in found[0].cause


@pytest.mark.parametrize(
    ("name", "pattern"),
    [(s.name, s.pattern) for c in CAUSES for s in c.signals if s.pattern]
    + [(p, p) for p in load_benign()],
)
def test_pattern_has_a_literal_word_to_prefilter_by(name, pattern):
    """A pattern without one would be run over every chunk of every log."""
    prefilter = re2.Filter()
    prefilter.Add(f"(?m){pattern}")
    prefilter.Compile()
    assert prefilter.Match(b"", potential=True) is None, name


def test_every_predicate_is_used():
    used = {s.predicate for c in CAUSES for s in c.signals if s.predicate}
    assert used == set(PREDICATES)


def test_every_condition_is_used():
    assert {s.when for c in CAUSES for s in c.signals if s.when} == set(CONDITIONS)


def test_docs_are_fresh():
    written = Path(__file__).parents[3] / "docs" / "causes.md"
    assert written.read_text(encoding="utf-8") == all_pages(CAUSES), "run scripts/docs-causes"


SOCKETS = """--- source: vllm log
llm-1:80:80 [0] NCCL INFO NET/IB : No device found.
llm-1:80:80 [0] NCCL INFO Channel 00/0 : {channel} [receive] via NET/Socket/0
(APIServer pid=7) INFO 02-03 10:16:10 [loggers.py:273] Avg generation throughput: 130.5 tokens/s
"""


def test_plain_ethernet_between_hosts_is_no_failure():
    found = diagnose_text(SOCKETS.format(channel="8[0] -> 0[0]")).findings
    assert [f.code for f in found if f.confidence >= CONFIDENT] == []


def test_ranks_of_one_host_are_told_by_their_devices():
    first = diagnose_text(SOCKETS.format(channel="9[1] -> 8[0]")).findings[0]
    assert (first.code, first.confidence >= CONFIDENT) == ("nccl-network-inside-node", True)


def test_what_ended_the_service_comes_before_what_only_slows_it():
    lost = (
        "llm-0:80:86 [0] misc/socket.cc:72 NCCL WARN socketProgress: Connection closed by "
        "remote peer\n"
    )
    found = diagnose_text(SOCKETS.format(channel="9[1] -> 8[0]") + lost).findings
    assert [f.code for f in found][:2] == ["nccl-peer-lost", "nccl-network-inside-node"]
    assert found[0].consequence_of is None
