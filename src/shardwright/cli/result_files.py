"""Result files of load tools as users name them: a file, a folder of AIPerf, a folder of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shardwright.cli.options import read_text
from shardwright.model.errors import usage_error

if TYPE_CHECKING:
    from shardwright.model.measured import Measured

SUMMARY, RECORDS = "profile_export_aiperf.json", "profile_export.jsonl"
VLLM_RESULT = "vllm-bench.json"
NAMES = (SUMMARY, VLLM_RESULT, "profile_export_genai_perf.json", "benchmarks.json")
"""What a folder may hold, of AIPerf, `vllm bench serve` as we start it, genai-perf and guidellm."""


def read_runs(paths: Sequence[Path]) -> tuple[Measured, ...]:
    """Read every result. Raises ShardwrightError for a file or a folder that holds none."""
    from shardwright.verify.readers import read_result

    files = [file for path in paths for file in summaries(path)]
    return tuple(read_result(read_text(file), str(file), records_of(file)) for file in files)


def summaries(path: Path) -> list[Path]:
    """Return the file itself, or what a folder holds: one result, or runs named 1, 2 and so on."""
    if not path.is_dir():
        return [path]
    numbered = sorted((p for p in path.iterdir() if p.name.isdecimal()), key=lambda p: int(p.name))
    found = [
        next((folder / n for n in NAMES if (folder / n).is_file()), None)
        for folder in (numbered or [path])
    ]
    if None in found:
        raise usage_error(
            "result-not-in-folder",
            f"{path} holds none of {', '.join(NAMES)}",
            remedy="name the result file, or the folder of one run",
        )
    return [file for file in found if file is not None]


def records_of(file: Path) -> str | None:
    """Return AIPerf's single requests, which lie beside its summary."""
    records = file.parent / RECORDS
    return read_text(records) if "aiperf" in file.name and records.is_file() else None
