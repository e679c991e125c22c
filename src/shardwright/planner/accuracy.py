"""Predicted against measured columns of a table: medians, tails and signed bias of the errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnError:
    """Errors of one column: relative to what was measured; worst: the row farthest off.

    num_rows have both figures; num_empty were measured and not predicted.
    """

    column: str
    num_rows: int
    num_empty: int
    mean_abs: float
    median_abs: float
    p90_abs: float
    bias: float
    worst: str

    def as_row(self) -> dict[str, str | int | float]:
        """Return the figures by name, for JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def compare(
    measured: Sequence[Mapping[str, str]],
    predicted: Sequence[Mapping[str, str]],
    columns: Sequence[str],
) -> list[ColumnError]:
    """Compare row by row; a measured zero or text is left out.

    >>> [e] = compare([{"id": "a", "kv_tokens": "100"}], [{"kv_tokens": "90"}], ["kv_tokens"])
    >>> round(e.bias, 6), e.worst
    (-0.1, 'a')
    """
    out = []
    for column in columns:
        errors: list[tuple[float, str]] = []
        empty = 0
        for number, (truth, guess) in enumerate(zip(measured, predicted, strict=True), 1):
            have = _number(truth.get(column))
            if not have:
                continue
            found = _number(guess.get(column))
            if found is None:
                empty += 1
                continue
            errors.append((found / have - 1, truth.get("id") or f"row {number}"))
        if errors or empty:
            out.append(_column(column, errors, empty))
    return out


def _column(column: str, errors: list[tuple[float, str]], empty: int) -> ColumnError:
    signed = [e for e, _ in errors] or [float("nan")]
    sizes = sorted(map(abs, signed))
    return ColumnError(
        column=column,
        num_rows=len(errors),
        num_empty=empty,
        mean_abs=mean(sizes),
        median_abs=median(sizes),
        p90_abs=sizes[min(len(sizes) - 1, round(0.9 * (len(sizes) - 1)))],
        bias=mean(signed),
        worst=max(errors, key=lambda e: abs(e[0]))[1] if errors else "",
    )


def render(errors: Sequence[ColumnError]) -> str:
    """Return the table as text."""
    head = ("column", "rows", "empty", "mean", "median", "p90", "bias", "worst")
    body = [
        (
            e.column, str(e.num_rows), str(e.num_empty), _pct(e.mean_abs), _pct(e.median_abs),
            _pct(e.p90_abs), f"{100 * e.bias:+.1f} %", e.worst,
        )
        for e in errors
    ]  # fmt: skip
    widths = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]
    return "".join(
        "  ".join(
            cell.ljust(w) if i in (0, 7) else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        + "\n"
        for line in (head, *body)
    )


def _pct(value: float) -> str:
    return f"{100 * value:.1f} %"


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
