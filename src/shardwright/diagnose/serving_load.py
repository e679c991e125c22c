"""How busy an engine is, from its metrics or its own log, and what that says of a slow service.

vLLM and SGLang print running and waiting requests and the share of the KV cache in use every few
seconds, and expose the same to Prometheus (vllm:num_requests_running, sglang:num_running_reqs).
A pipeline of P stages works on P batches at a time and a request is in one of them, so R running
requests keep at most R of P stages busy. Called by predicates, which names the conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Final

import re2

from shardwright.diagnose.cluster_facts import hit_at
from shardwright.diagnose.evidence import Block, Evidence, Hit, Source

_SERIES: Final = {
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
    "vllm:kv_cache_usage_perc": "kv",
    "vllm:gpu_cache_usage_perc": "kv",
    "vllm:num_preemptions_total": "preempted",
    "sglang:num_running_reqs": "running",
    "sglang:num_queue_reqs": "waiting",
    "sglang:token_usage": "kv",
    "sglang:num_retracted_requests_total": "preempted",
}
"""Series -> what it tells; both names of vLLM's KV usage, of either side of 0.9.2. SGLang repeats a
scheduler's series per rank, so the largest counts."""
_SAMPLE: Final = (
    r"(?m)^((?:vllm|sglang):[a-z_]+)\{([^}\n]{0,400})\} ([0-9.]+(?:e[+-]?\d+)?)(?: \d+)?$"
)
_ENGINE: Final = r'\b(?:engine|dp_rank)="([^"]*)"'
_VLLM_LINE: Final = (
    r"Running: (\d+) reqs, (?:Swapped: \d+ reqs, )?(?:Waiting|Pending): (\d+) reqs"
    r"(?:[^\n]{0,120}?Preemptions: (\d+))?(?:[^\n]{0,80}?KV cache usage: ([0-9.]+)%)?"
)
_SGLANG_LINE: Final = (
    r"Decode batch[^\n]{0,60}#running-req: (\d+)[^\n]{0,60}token usage: ([0-9.]+)"
    r"[^\n]{0,160}#queue-req: (\d+)"
)
_STAGES: Final = "watched.stages"
_CAP: Final = "watched.cap"
_PIPELINE: Final = (
    r"(?:--pipeline-parallel-size|--pp-size|-pp\b|--pp_size|pipeline_parallel_size|"
    r"pipeline_parallel|pp_size)['\"]?[ =:]{1,3}['\"]?(?P<count>\d{1,3})\b"
)
_MAX_SEQS: Final = (
    r"(?:--max-num-seqs|--max-running-requests|max_num_seqs|max_running_requests)"
    r"['\"]?[ =:]{1,3}['\"]?(?P<count>\d{1,6})\b"
)
WATCHED: Final = {_STAGES: _PIPELINE, _CAP: _MAX_SEQS}
"""Settings looked for in all of every log: they may stand below any amount of other lines."""
_MOST_LINES: Final = 200
"""Lines of one piece of a log that are read, evenly spread: a state lasts longer than a line."""
_MAX_LINE: Final = 2000
_LONG: Final = 5
"""Lines of an engine's log, ten seconds apart in vLLM, from which a state is no accident."""
_FULL: Final = 0.9
_ROOMY: Final = 0.5
_UNEVEN: Final = 1.25
"""The largest stage over the mean: [31, 32, 32, 31] is 1.02, and costs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """An engine at one moment, told at a character of a block. kv: share of the cache in use, None
    if not told; preempted: requests taken back so far."""

    block: Block
    position: int
    running: int
    waiting: int
    kv: float | None
    preempted: int
    is_metrics: bool

    def hit(self, **values: str) -> Hit:
        """Return the line that tells it."""
        return hit_at(self.block, self.position, **values)


def samples(evidence: Evidence) -> tuple[Sample, ...]:
    """Read the samples there are; idle moments (nothing running or waiting) are left out."""
    return _samples(evidence.blocks)


@lru_cache(maxsize=1)
def _samples(blocks: tuple[Block, ...]) -> tuple[Sample, ...]:
    """Read them once for all conditions."""
    found = [*_from_metrics(blocks), *_from_logs(blocks)]
    return tuple(each for each in found if each.running or each.waiting)


def _from_metrics(blocks: tuple[Block, ...]) -> Iterator[Sample]:
    for block in blocks:
        engines: dict[str, dict[str, float]] = {}
        first: dict[str, int] = {}
        if "vllm:" not in block.text and "sglang:" not in block.text:
            continue
        for match in re2.finditer(_SAMPLE, block.text):
            field = _SERIES.get(match.group(1))
            if field is None:
                continue
            named = re2.search(_ENGINE, match.group(2))
            engine = named.group(1) if named else ""
            values = engines.setdefault(engine, {})
            values[field] = max(values.get(field, 0.0), float(match.group(3)))
            if field == "running":
                first.setdefault(engine, match.start())
        for engine, values in sorted(engines.items()):
            if engine in first:
                yield Sample(
                    block=block, position=first[engine], running=int(values["running"]),
                    waiting=int(values.get("waiting", 0)), kv=values.get("kv"),
                    preempted=int(values.get("preempted", 0)), is_metrics=True,
                )  # fmt: skip


def _from_logs(blocks: tuple[Block, ...]) -> Iterator[Sample]:
    """Read what engines print; of a log kept in pieces the last that say enough, since what held
    days ago slows nobody now.
    """
    logs = (b for b in blocks if b.source in (Source.LOG, Source.PROBE))
    for _, pieces in groupby(logs, key=lambda block: block.index):
        latest: list[Sample] = []
        for block in reversed(tuple(pieces)):
            latest = [*_told(block), *latest]
            if len(latest) >= _LONG:
                break
        yield from latest


def _told(block: Block) -> Iterator[Sample]:
    for start, line in _spread(block.text, "Running: "):
        if match := re2.search(_VLLM_LINE, line):
            kv = match.group(4)
            yield Sample(
                block=block, position=start, running=int(match.group(1)),
                waiting=int(match.group(2)), kv=float(kv) / 100 if kv else None,
                preempted=int(match.group(3) or 0), is_metrics=False,
            )  # fmt: skip
    for start, line in _spread(block.text, "Decode batch"):
        if match := re2.search(_SGLANG_LINE, line):
            yield Sample(
                block=block, position=start, running=int(match.group(1)),
                waiting=int(match.group(3)), kv=float(match.group(2)), preempted=0,
                is_metrics=False,
            )  # fmt: skip


def _spread(text: str, word: str) -> list[tuple[int, str]]:
    """Return lines with a word and where it stands, at most so many, evenly spread."""
    places: list[int] = []
    place = text.find(word)
    while place >= 0:
        places.append(place)
        end = text.find("\n", place)
        place = text.find(word, end) if end >= 0 else -1
    step = max(1, -(-len(places) // _MOST_LINES))
    return [(p, text[p : p + _MAX_LINE].split("\n", 1)[0]) for p in places[::step]]


def _set_to(evidence: Evidence, watched: str) -> int:
    """Return the largest value a setting has anywhere."""
    counts = (hit.values.get("count", "0") for hit in evidence.hits.get(watched, ()))
    return max((int(count) for count in counts), default=0)


def _workers_of_stages(evidence: Evidence) -> int:
    named = (m for b in evidence.blocks for m in re2.finditer(r"Worker_PP(\d{1,3})", b.text))
    return max((1 + int(m.group(1)) for m in named), default=0)


def _stages(evidence: Evidence) -> int:
    """Pipeline stages: as asked for, or as the workers' names count them."""
    return max(_set_to(evidence, _STAGES), _workers_of_stages(evidence))


def _starved(evidence: Evidence) -> tuple[tuple[Sample, ...], dict[str, str]]:
    """Return the samples, if none of them has as many running requests as there are stages, and
    what to say of them.
    """
    found = samples(evidence)
    stages = _stages(evidence) if found else 0
    if stages < 2 or any(s.running >= stages or s.waiting for s in found):
        return (), {}
    most = max(each.running for each in found)
    percent = str(100 * most // stages)
    return found, {"running": str(most), "stages": str(stages), "percent": percent}


def pipeline_starved(evidence: Evidence) -> Iterator[Hit]:
    """Find an engine seen with fewer running requests than stages, however briefly."""
    found, values = _starved(evidence)
    yield from (each.hit(**values) for each in found[:3])


def pipeline_starved_long(evidence: Evidence) -> Iterator[Hit]:
    """Find the same in every line of a log long enough to mean it."""
    found, values = _starved(evidence)
    logged = [each for each in found if not each.is_metrics]
    if len(logged) >= _LONG:
        yield from (logged[0].hit(**values), logged[-1].hit(**values))


def kv_thrashing(evidence: Evidence) -> Iterator[Hit]:
    """Find requests that wait at a full KV cache, of which some were already taken back."""
    for each in samples(evidence):
        if each.waiting and each.preempted and (each.kv or 0) >= _FULL:
            yield _loaded(each)
            return


def kv_full_queue(evidence: Evidence) -> Iterator[Hit]:
    """Find requests that wait at a full KV cache."""
    for each in samples(evidence):
        if each.waiting and (each.kv or 0) >= _FULL:
            yield _loaded(each)
            return


def sequence_cap(evidence: Evidence) -> Iterator[Hit]:
    """Find requests that wait beside an empty KV cache, with exactly the allowed number running."""
    roomy = [s for s in samples(evidence) if s.waiting and s.kv is not None and s.kv < _ROOMY]
    cap = _set_to(evidence, _CAP) if roomy else 0
    found = [each for each in roomy if each.running == cap > 0]
    if found:
        yield replace(_loaded(found[0]), values={**_loaded(found[0]).values, "cap": str(cap)})


def _loaded(sample: Sample) -> Hit:
    percent = "" if sample.kv is None else f"{100 * sample.kv:.0f}"
    return sample.hit(
        running=str(sample.running), waiting=str(sample.waiting), percent=percent,
        preempted=str(sample.preempted),
    )  # fmt: skip


def stages_uneven(evidence: Evidence) -> Iterator[Hit]:
    """Find a split of layers whose largest stage holds up the others."""
    pattern = (
        r"(?:unevenly partitioned: \[|VLLM_PP_LAYER_PARTITION[\"']?(?:=|, *value:|: ?)[ \"']*|"
        r"SGLANG_PP_LAYER_PARTITION[\"']?(?:=|, *value:|: ?)[ \"']*)(\d+(?:, ?\d+)+)"
    )
    for block in evidence.blocks:
        for match in re2.finditer(pattern, block.text):
            layers = [int(n) for n in match.group(1).split(",")]
            worst = max(layers) / (sum(layers) / len(layers))
            if worst > _UNEVEN:
                yield hit_at(
                    block, match.start(1), layers=match.group(1), most=str(max(layers)),
                    percent=str(round(100 / worst)),
                )  # fmt: skip
                return
