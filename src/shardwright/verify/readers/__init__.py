"""Result files of load tools, each read into a `Measured`; the tool is told by the file itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from shardwright.model.errors import ExitCode, Place, ShardwrightError
from shardwright.model.measured import Measured
from shardwright.verify.readers import aiperf, guidellm, sglang, vllm_bench

Document = dict[str, Any]

READERS: tuple[
    tuple[Callable[[Document], bool], Callable[[Document, str | None], Measured]], ...
] = (
    (aiperf.recognise, aiperf.read),
    (sglang.recognise, sglang.read),
    (vllm_bench.recognise, vllm_bench.read),
    (guidellm.recognise, guidellm.read),
)


def read_result(text: str, file: str, records: str | None = None) -> Measured:
    """Read a result file; records: AIPerf's profile_export.jsonl beside it, if there is one.

    Raises ShardwrightError if the file is of none of the tools, or is damaged.
    """
    try:
        document = _document(text)
    except ValueError as error:
        raise _unreadable(file, f"it is not JSON: {error}") from error
    except RecursionError as error:
        raise _unreadable(file, "its JSON is nested too deeply") from error
    if isinstance(document, dict):
        for recognise, read in READERS:
            if recognise(document):
                try:
                    return read(document, records)
                except aiperf.DamagedRecords as error:
                    raise _damaged_records(file, error.number) from error
                except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                    what = f"it is damaged or of an unknown version ({error!r})"
                    raise _unreadable(file, what) from error
    raise _unreadable(file, "it is of none of the tools we read")


def _document(text: str) -> Any:
    """Read JSON; of a file to which a tool appends a line each run, the last run."""
    try:
        return json.loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2:
            raise
        found = [json.loads(line) for line in lines]
        if not all(isinstance(each, dict) and sglang.recognise(each) for each in found):
            raise
        return found[-1]


def _unreadable(file: str, what: str) -> ShardwrightError:
    return ShardwrightError(
        code="result-not-readable",
        what=f"{file} is no load-test result: {what}",
        remedy="pass profile_export_aiperf.json (AIPerf), profile_export_genai_perf.json, the "
        "result of `vllm bench serve --save-result`, guidellm's benchmarks.json, or the file of "
        "sglang.bench_serving --output-file",
        place=Place(file=file),
        exit_code=ExitCode.USAGE,
    )


def _damaged_records(file: str, number: int) -> ShardwrightError:
    return ShardwrightError(
        code="result-not-readable",
        what=f"{file} has no whole single requests: line {number} of {aiperf.RECORDS} beside it is "
        "cut short or damaged",
        remedy=f"bench again, or move {aiperf.RECORDS} away to be judged by the summary alone",
        place=Place(file=file),
        exit_code=ExitCode.USAGE,
    )
