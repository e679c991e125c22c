"""The gate may let through too much, and must never keep out a line that a pattern matches."""

import random
from pathlib import Path

import pytest
import re2

from shardwright.diagnose.causes import load_benign, load_causes
from shardwright.diagnose.evidence import Document
from shardwright.diagnose.literals import Gate, Heat, need_of
from shardwright.diagnose.scanning import Patterns, scan

PATTERNS = sorted(
    {s.pattern for c in load_causes() for s in c.signals if s.pattern} | set(load_benign())
)
DATA = Path(__file__).parents[2] / "data"
TEXTS = [p.read_text(errors="replace") for p in sorted(DATA.glob("*/*/evidence.txt"))]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("no space left", {"no space left"}),
        ("(?i)No Space|disk full", {"no space", "disk full"}),
        (r"(?:a{2}bc|long words?) x", {" x"}),
        (r"code \d+ means (?:this|one)", {" means "}),
        (r"(?P<what>ibv_\w+) failed", {" failed"}),
        (r"x(?:optional)?yz", {"yz"}),
        (r"[Rr]ay started", {"ay started"}),
        (r"^\bword\b$", {"\bword\b"}),
        (
            r"\b(?:\w*error|warn|fail(?:ed)?|time out)\b",
            {"error\b", "\bwarn\b", "\bfail", "\btime out\b"},
        ),
        (r"(?i)mlx5|\bRoCE\b", {"mlx5", "\broce\b"}),
        (r"at\b: \d+ (?:\bx+\b)", {"at\b: "}),
    ],
)
def test_the_rarest_words_are_chosen(pattern, words):
    assert need_of(pattern).cover(frozenset()) == words


def test_a_pattern_is_known_by_another_word_when_one_is_hot():
    need = need_of(r"NCCL INFO Channel [^\n]{0,80} via SHM/\w+")
    assert need.cover(frozenset()) == {"nccl info channel "}
    assert need.cover(frozenset({"nccl info channel "})) == {" via shm/"}
    assert need.cover(frozenset({"nccl info channel ", " via shm/"})) is None


def test_a_word_of_its_own_is_not_found_within_another():
    gate = Gate([r"(?i)\bRoCE\b[^\n]{0,9} slow"], ())
    assert gate.direct(b"[input_processor.py:99] slow\n", Heat(hot=frozenset({" slow"})), ()) == ()
    assert gate.direct(b"over roce: slow\n", Heat(hot=frozenset({" slow"})), ()) is None


def test_a_pattern_without_a_word_has_no_cover():
    assert need_of(r"\d+|word").cover(frozenset()) is None


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_hot_a_matching_line_is_let_through(seed):
    """Over all evidence there is, and random choices of hot words."""
    rng = random.Random(seed)
    gate = Gate(PATTERNS)
    compiled = [re2.compile(f"(?m){pattern}") for pattern in PATTERNS]
    covers = [need_of(pattern).cover(frozenset()) or frozenset() for pattern in PATTERNS]
    words = sorted(frozenset().union(*covers))
    for text in rng.sample(TEXTS, 40):
        hot = frozenset(rng.sample(words, 5) + [w for w in words if w in text.lower()][:seed])
        heat = Heat(hot=hot)
        let = gate.direct(text.encode(), heat, ())
        if let is not None:
            matching = {n for n, pattern in enumerate(compiled) if pattern.search(text)}
            assert matching <= set(let)


def test_a_long_log_gives_the_same_hits_with_and_without_the_gate(monkeypatch):
    """Forty small chunks of ordinary lines with trouble in some, gated from the second on."""
    rng = random.Random(7)
    quiet = "INFO 11-20 09:03:11 [loggers.py:257] Engine 000: 5.1 tokens/s, via P2P/CUMEM\n"
    chunks = [quiet * 20 + (rng.choice(TEXTS) + "\n") * (n % 3 == 2) for n in range(40)]
    patterns = {s.name: f"(?m){s.pattern}" for c in load_causes() for s in c.signals if s.pattern}

    def scanned(ungated):
        monkeypatch.setattr("shardwright.diagnose.scanning._CHUNKS_UNGATED", ungated)
        document = Document(name="a.log", chunks=[each.encode() for each in chunks])
        return scan([document], Patterns(patterns))

    assert scanned(1) == scanned(1000)


def test_processes_and_threads_give_the_same(monkeypatch):
    patterns = {s.name: f"(?m){s.pattern}" for c in load_causes() for s in c.signals if s.pattern}
    compiled = Patterns(patterns)

    def documents():
        return [
            Document(name=f"{n}.log", chunks=[text.encode()], num_bytes=len(text))
            for n, text in enumerate(TEXTS[:12])
        ]

    threaded = scan(documents(), compiled)
    monkeypatch.setattr("shardwright.diagnose.side_by_side.WORTH_FORKING_BYTES", 1)
    assert scan(documents(), compiled) == threaded
    assert threaded.hits


def test_what_one_document_is_full_of_hides_nothing_in_the_next(monkeypatch):
    """The second begins with the first one's words, and is given up and begun anew where they do
    not help.
    """
    monkeypatch.setattr("shardwright.diagnose.scanning._CHUNKS_UNGATED", 1)
    patterns = {s.name: f"(?m){s.pattern}" for c in load_causes() for s in c.signals if s.pattern}
    quiet = "INFO 11-20 09:03:11 [loggers.py:257] Engine 000: 5.1 tokens/s, via P2P/CUMEM\n" * 20
    first = [quiet.encode()] * 60
    rng = random.Random(8)
    second = [(quiet + rng.choice(TEXTS) + "\n").encode() for _ in range(60)]

    def hits(*documents):
        named = [Document(name=name, chunks=chunks) for name, chunks in documents]
        found = scan(named, Patterns(patterns), num_workers=1).hits
        return {
            signal: [(h.document, h.line) for h in each if h.document == "b.log"]
            for signal, each in found.items()
            if any(h.document == "b.log" for h in each)
        }

    alone = hits(("b.log", second))
    assert len(alone) > 20
    assert hits(("a.log", first), ("b.log", second)) == alone


def test_the_automaton_has_memory_enough_for_all_words(capfd):
    """Where it has not, RE2 says so on stderr, once per search, and is slow from then on."""
    rng = random.Random(7)

    def ordinary() -> str:
        return rng.choice((
            (f"(Worker_TP{rng.randrange(8)} pid=7) INFO 11-24 10:{rng.randrange(60):02}:00 "
            f"[loggers.py:257] Engine 000: Avg prompt throughput: {rng.random() * 900:.1f} "
            f"tokens/s, KV cache usage: {rng.random() * 90:.1f}%, Prefix cache hit rate: 41.2%"),
            f'INFO:     10.1.2.{rng.randrange(250)}:{rng.randrange(65000)} - "POST /v1" 200 OK',
            f"DEBUG [scheduler.py:881] scheduled request chatcmpl-{rng.getrandbits(128):032x}",
            (f"n1:801:990 [{rng.randrange(8)}] NCCL INFO Channel {rng.randrange(32):02}/0 : "
            f"{rng.randrange(9)}[1] -> 2[2] via P2P/CUMEM"),
        ))  # fmt: skip

    gate, heat = Gate(PATTERNS), Heat()
    for _ in range(5):
        gate.direct("\n".join(ordinary() for _ in range(12_000)).encode(), heat, ())
    assert "out of memory" not in capfd.readouterr().err
