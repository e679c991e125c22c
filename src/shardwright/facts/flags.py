"""Which command-line flags each engine knew in which release, and what replaced the lost ones.

Read from the engines' own argument parsers at sampled releases (data and provenance in
`facts/engines`); between two samples the answer is "cannot tell". Used by lint and by render.
"""

from __future__ import annotations

import csv
import dataclasses
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from pathlib import Path

from shardwright.model.version import Version, parse_version

_DATA = Path(__file__).parent / "engines"


class Standing(Enum):
    """What is known of a flag in a release."""

    KNOWN = "known"
    NOT_YET = "not yet"
    """Sampled releases at and around this one lack it; a later one has it."""
    REMOVED = "removed"
    NEVER = "never"
    """No sampled release has it."""
    UNSURE = "unsure"
    """It came or went between two samples around this release, or the list is partial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagHistory:
    """One flag through the releases. takes_value: None where the parser did not tell."""

    name: str
    first: Version
    removed: Version | None
    last: Version
    takes_value: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """What to write instead of a removed flag. is_rename: the value stays as it is."""

    flag: str
    instead: str
    note: str

    @property
    def is_rename(self) -> bool:
        """True if only the name changed."""
        return self.instead.startswith("--") and " " not in self.instead


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagCatalog:
    """All flags of one engine. is_complete: the samples cover whole parsers.

    samples: releases that were read, oldest first.
    """

    engine: str
    is_complete: bool
    samples: tuple[Version, ...]
    flags: Mapping[str, tuple[FlagHistory, ...]]
    replacements: Mapping[str, Replacement]
    _judged: dict[Version | None, Callable[[str], Standing]] = field(
        default_factory=dict, repr=False
    )
    """Answers given before: manifests ask for the same few flags again and again."""

    def standing(self, flag: str, version: Version | None) -> Standing:
        """Judge one flag, spelled with dashes. version None: does any release know it?"""
        return self.standings(version)(flag)

    def standings(self, version: Version | None) -> Callable[[str], Standing]:
        """Return what judges the flags of one release, and keeps its answers."""
        if version not in self._judged:
            self._judged[version] = cache(lambda flag: self._judge(flag, version))
        return self._judged[version]

    def _judge(self, flag: str, version: Version | None) -> Standing:
        histories = self._histories(flag)
        if not histories:
            is_certain = self.is_complete and (version is None or self.covers(version))
            return Standing.NEVER if is_certain else Standing.UNSURE
        if version is None or any(self._has(history, version) for history in histories):
            return Standing.KNOWN
        if not self.is_complete or version < self.samples[0]:
            return Standing.UNSURE
        gone = [h for h in histories if h.removed is not None and version >= h.removed]
        if gone:
            return Standing.REMOVED
        if all(version <= self._sample_before(h.first) for h in histories):
            return Standing.NOT_YET
        return Standing.UNSURE

    def replacement(self, flag: str, version: Version | None) -> Replacement | None:
        """Return what this release knows instead of a removed flag, following renames."""
        found = self.replacements.get(flag)
        seen = {flag}
        while found is not None and found.instead:
            name = found.instead.split()[0].partition(".")[0]
            if self.standing(name, version) is Standing.KNOWN:
                return found
            if name in seen:
                return None
            seen.add(name)
            found = self.replacements.get(name)
        return found

    def takes_value(self, flag: str) -> bool | None:
        """Tell whether a flag is followed by a value; None if unknown."""
        histories = self.flags.get(flag)
        return histories[0].takes_value if histories else None

    def nearest(self, flag: str) -> str | None:
        """Return the flag most like this one, for a typing error; None if none is near."""
        near = difflib.get_close_matches(flag, self.flags, n=1, cutoff=0.82)
        return near[0] if near else None

    def covers(self, version: Version) -> bool:
        """True if the release is not newer than the newest sample nor older than the oldest."""
        return self.samples[0] <= version and version.release <= self.samples[-1].release

    def _has(self, history: FlagHistory, version: Version) -> bool:
        newer_than_samples = version > self.samples[-1] and history.last == self.samples[-1]
        return history.first <= version and (version <= history.last or newer_than_samples)

    def _sample_before(self, first: Version) -> Version:
        earlier = [sample for sample in self.samples if sample < first]
        return earlier[-1] if earlier else Version((0,))

    def _histories(self, flag: str) -> tuple[FlagHistory, ...]:
        """Find a flag, the switch a `--no-` form negates, or what a prefix stands for."""
        if flag in self.flags:
            return self.flags[flag]
        positive = "--" + flag.removeprefix("--no-")
        if flag.startswith("--no-") and self.takes_value(positive) is False:
            return self.flags[positive]
        return self._abbreviated(flag)

    def _abbreviated(self, flag: str) -> tuple[FlagHistory, ...]:
        """Find the flags an unambiguous prefix stands for: argparse accepts those."""
        if not flag.startswith("--") or len(flag) < 4:
            return ()
        names = [name for name in self.flags if name.startswith(flag)]
        return tuple(history for name in names for history in self.flags[name])


_SOURCES = {
    "vllm": ("vllm-flags.csv", True),
    "sglang": ("sglang-flags.csv", True),
    "tensorrt-llm": ("trtllm-flags.csv", False),
}


@cache
def catalog(engine: str) -> FlagCatalog | None:
    """Return the flags of an engine by its name; None for one without a list.

    >>> str(catalog("vllm").standing("--swap-space", parse_version("0.33.0")))
    'Standing.REMOVED'
    """
    if engine not in _SOURCES:
        return None
    file, is_complete = _SOURCES[engine]
    flags: dict[str, tuple[FlagHistory, ...]] = {}
    samples: set[Version] = set()
    for row in _rows(file):
        history = _history(row, is_complete=is_complete)
        samples |= {history.first, history.last}
        for name in (row["flag"], *row["aliases"].replace("(C)", "").split()):
            entry = _negated(history) if _is_opposite(name, row["flag"]) else history
            key = name.replace("_", "-")
            flags[key] = (*flags.get(key, ()), entry)
        for name in row.get("negative_form_0.33", "").split():
            entry = _negated(history) if _is_opposite(name, row["flag"]) else history
            flags[name] = (*flags.get(name, ()), entry)
    return FlagCatalog(
        engine=engine,
        is_complete=is_complete,
        samples=tuple(sorted(samples)),
        flags=flags,
        replacements={
            row["flag"]: Replacement(flag=row["flag"], instead=row["instead"], note=row["note"])
            for row in _rows("replacements.csv")
            if row["engine"] == engine
        },
    )


def _history(row: dict[str, str], *, is_complete: bool) -> FlagHistory:
    if not is_complete:  # two source commits and one page: versions are about
        first = parse_version(row["first_seen"]) or Version((1, 2, 0))
        return FlagHistory(
            name=row["flag"], first=first, removed=None, last=Version((1, 3, 0)), takes_value=None
        )
    kind = row["type"]
    return FlagHistory(
        name=row["flag"],
        first=_required(row, "first_version_seen"),
        removed=parse_version(row["removed_version"]),
        last=_required(row, "last_version_seen"),
        takes_value=None if not kind else kind != "None",
    )


def _required(row: dict[str, str], column: str) -> Version:
    version = parse_version(row[column])
    if version is None:
        raise ValueError(f"{row['flag']}: no {column}")
    return version


def _is_opposite(name: str, flag: str) -> bool:
    """True for `--disable-x` listed beside `--enable-x`: the newest sample prints such pairs."""
    return {name[2:].partition("-")[0], flag[2:].partition("-")[0]} == {"enable", "disable"}


def _negated(history: FlagHistory) -> FlagHistory:
    return dataclasses.replace(history, first=history.last, removed=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricHistory:
    """One vLLM metric: the sampled release without it, and the name that replaced it."""

    name: str
    removed: Version
    note: str


@cache
def removed_metrics() -> dict[str, MetricHistory]:
    """Return vLLM's metrics that a later release no longer exposes, by exposed name."""
    found: dict[str, MetricHistory] = {}
    for row in _rows("vllm-metrics-history.csv"):
        removed = parse_version(row["removed_version"])
        if removed is not None and "still exposes" not in row["note"]:
            name = row["name_in_code"]
            found[name] = MetricHistory(name=name, removed=removed, note=row["note"])
    return found


def _rows(name: str) -> list[dict[str, str]]:
    with (_DATA / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
