"""AIPerf's profile_export_aiperf.json (schema 1.x) and its predecessor's, genai-perf's.

Per-request records come from profile_export.jsonl, whose warm-up lines do not count. Times there
are milliseconds, instants nanoseconds. Seen with AIPerf 0.3.0, 0.8.0 and 0.13.0 (2026-11);
genai-perf 0.0.16 (2026-11), and results of its users of 2024 (perf_analyzer, issue 298), which
tell no counts.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from shardwright.model.finding import Finding, Severity
from shardwright.model.measured import Distribution, Measured, Sample
from shardwright.verify.words import answer_words

MS = 1e-3
NS = 1e-9
RECORDS = "profile_export.jsonl"
SHOWN = 200  # characters of an answer that failed
_PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)


class DamagedRecords(Exception):  # noqa: N818  (a state of a file, seen and handled)
    """A line of the single requests cannot be read; number: which, from 1."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def recognise(document: dict[str, Any]) -> bool:
    """Tell an AIPerf or genai-perf summary by its metric blocks."""
    return isinstance(document.get("request_latency"), dict) and "input_config" in document


def read(document: dict[str, Any], records: str | None) -> Measured:
    """Read the summary, and the records where they are at hand."""
    is_aiperf = _is_aiperf(document)
    latency = _distribution(document.get("request_latency"))
    # `completed_request_count` includes failures; `request_count` does not
    completed = round(_value(document, "request_count") or (latency.count if latency else 0))
    config = _profiling_phase(document["input_config"])
    # genai-perf gives the whole answer's time as that of its first token where nothing was streamed
    is_streamed = is_aiperf or _find(document["input_config"], "streaming") is not False
    duration = _value(document, "benchmark_duration")
    rate = _value(document, "request_throughput")
    return Measured(
        tool="aiperf" if is_aiperf else "genai-perf",
        tool_version=document.get("aiperf_version"),
        model=_model(document["input_config"]),
        num_completed=completed,
        num_failed=int(_value(document, "error_request_count") or _errors(document)),
        duration_s=duration if duration is not None else completed / rate if rate else 0.0,
        output_tokens=_output_tokens(document, completed),
        concurrency=_load(config, "concurrency"),
        requests_per_s=_load(config, "rate") or _load(config, "request_rate"),
        ttft=_distribution(document.get("time_to_first_token")) if is_streamed else None,
        itl=_distribution(document.get("inter_token_latency")),
        latency=latency,
        effective_concurrency=_value(document, "effective_concurrency"),
        send_delay_s=_send_delay(document),
        samples=tuple(_samples(records)) if records else (),
        errors=_error_messages(document),
        findings=() if is_aiperf else (_GENAI_PERF,),
        told_tokens_per_s=_value(document, "output_token_throughput"),
    )


def _is_aiperf(document: dict[str, Any]) -> bool:
    """Tell AIPerf from genai-perf; before it wrote its version, AIPerf kept its command line."""
    command = str(document["input_config"].get("cli_command", ""))
    return "aiperf_version" in document or command.startswith("aiperf ")


_GENAI_PERF = Finding(
    code="genai-perf-definitions",
    severity=Severity.WARNING,
    what="genai-perf counts tokens and the first token differently from AIPerf",
    why="it leaves out chunks without content: where a model reasons, its first token is the first "
    "after the reasoning, which is not counted; answers are tokenized anew",
    remedy="measure with AIPerf, its successor, before comparing with other results",
)


def _value(document: dict[str, Any], metric: str) -> float | None:
    block = document.get(metric)
    return float(block["avg"]) if isinstance(block, dict) and "avg" in block else None


def _distribution(block: dict[str, Any] | None) -> Distribution | None:
    if not block or "avg" not in block:
        return None
    scale = {"ms": MS, "us": 1e-6, "ns": NS, "sec": 1.0, "s": 1.0}[str(block["unit"])]
    return Distribution(
        count=int(block.get("count", 0)),
        mean=float(block["avg"]) * scale,
        percentiles=tuple(
            (float(p), float(block[f"p{p}"]) * scale) for p in _PERCENTILES if f"p{p}" in block
        ),
    )


def _output_tokens(document: dict[str, Any], completed: int) -> int | None:
    total = _value(document, "total_osl") or _value(document, "total_output_tokens")
    if total is not None:
        return round(total)
    mean = _value(document, "output_sequence_length")
    return None if mean is None else round(mean * completed)


def _errors(document: dict[str, Any]) -> int:
    return sum(int(e.get("count", 0)) for e in document.get("error_summary") or [])


def _error_messages(document: dict[str, Any]) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for entry in document.get("error_summary") or []:
        details = entry.get("error_details") or {}
        said = str(details.get("message") or details.get("type") or "unknown error")
        message = answer_words(said)
        counts[_cut(" ".join(message.split()))] += int(entry.get("count", 1))
    return tuple(message for message, _ in counts.most_common())


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 2].rsplit(" ", 1)[0] + " …"


def _send_delay(document: dict[str, Any]) -> float | None:
    block = _distribution(document.get("credit_to_start_latency"))
    return block.at(95) if block else None


def _profiling_phase(config: dict[str, Any]) -> dict[str, Any]:
    """Pick the phase that is measured; older files have no phases."""
    phases = [p for p in config.get("phases") or [] if p.get("kind") == "profiling"]
    return phases[0] if phases else config


def _model(config: dict[str, Any]) -> str | None:
    found = (
        _find(config.get("models"), "name") or _find(config, "model_names") or config.get("model")
    )
    if isinstance(found, list):
        found = found[0] if found else None
    return str(found) if found else None


def _load(config: dict[str, Any], name: str) -> Any:
    """The load that was sent, not the bounds of a sweep that goes by the same name."""
    sent = {k: v for k, v in config.items() if k != "analyze"}
    found = _find(sent, name)
    return found if isinstance(found, int | float) else None


def _find(value: Any, name: str) -> Any:
    """Find a setting wherever this version of the tool nests it."""
    if isinstance(value, dict):
        if value.get(name) is not None:
            return value[name]
        found = (_find(inner, name) for inner in value.values())
        return next((f for f in found if f is not None), None)
    if isinstance(value, list):
        return next((f for f in (_find(v, name) for v in value) if f is not None), None)
    return None


def _samples(records: str) -> list[Sample]:
    out = []
    for number, found in enumerate(re.finditer(r"[^\n]+", records), 1):
        try:
            record = json.loads(found[0])
        except (ValueError, RecursionError) as error:
            raise DamagedRecords(number) from error
        meta, metrics = record["metadata"], record.get("metrics") or {}
        if meta.get("benchmark_phase") == "warmup" or record.get("error"):
            continue
        latency = _metric(metrics, "request_latency")
        if latency is None:
            continue
        out.append(
            Sample(
                start_s=int(meta["request_start_ns"]) * NS,
                ttft_s=_metric(metrics, "time_to_first_token"),
                itl_s=_metric(metrics, "inter_token_latency"),
                latency_s=latency,
                input_tokens=_count(metrics, "input_sequence_length"),
                output_tokens=_count(metrics, "output_sequence_length"),
            )
        )
    return out


def _metric(metrics: dict[str, Any], name: str) -> float | None:
    return float(metrics[name]["value"]) * MS if name in metrics else None


def _count(metrics: dict[str, Any], name: str) -> int | None:
    return int(metrics[name]["value"]) if name in metrics else None
