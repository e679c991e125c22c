"""Why a layout that fits was not taken, in numbers of one kind: replayed, at the percentile.

Where a layout was not replayed, the estimate stands on both sides, and the sentence says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shardwright.model.layout import Layout
from shardwright.model.plan import Basis, Rejected, Speed
from shardwright.planner.objective import excess
from shardwright.planner.pool import CROSSING_DOUBT, Candidate, Pool

Seen = Mapping[tuple[Basis, Layout], Speed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Latency and rate of a candidate, of one kind. kind: said behind each figure's name."""

    ttft_s: float
    itl_s: float
    output_tokens_per_s: float
    kind: str

    def worse_in(self, other: Figures) -> list[str]:
        """Return what is worse than another's, with both numbers, most telling first."""
        out = []
        if self.itl_s > 1.005 * other.itl_s:
            out.append(f"ITL{self.kind} {self.itl_s * 1e3:.1f} ms against {other.itl_s * 1e3:.1f}")
        if self.ttft_s > 1.005 * other.ttft_s:
            mine, theirs = self.ttft_s * 1e3, other.ttft_s * 1e3
            out.append(f"TTFT{self.kind} {mine:,.0f} ms against {theirs:,.0f}")
        if self.output_tokens_per_s < 0.995 * other.output_tokens_per_s:
            mine, theirs = self.output_tokens_per_s, other.output_tokens_per_s
            out.append(f"{mine:,.0f} output tokens/s against {theirs:,.0f}")
        return out


def replayed(speed: Speed, percentile: float) -> Figures:
    """Return the figures of a replay."""
    return Figures(
        ttft_s=speed.ttft_percentile_s,
        itl_s=speed.itl_percentile_s,
        output_tokens_per_s=speed.output_tokens_per_s,
        kind=f" p{percentile:g}",
    )


def estimated(c: Candidate) -> Figures:
    """Return the figures of the closed form: means."""
    g = c.guess
    return Figures(
        ttft_s=g.ttft_s,
        itl_s=g.itl_s,
        output_tokens_per_s=g.output_tokens_per_s,
        kind=" (mean, estimated)",
    )


def turned_down(c: Candidate, chosen: Candidate, pool: Pool, seen: Seen) -> Rejected:
    """Say why a layout that fits was not taken."""
    slo = c.ask.request.slo
    mine, other = estimated(c), estimated(chosen)
    if c.key in seen and chosen.key in seen:
        mine = replayed(seen[c.key], slo.percentile)
        other = replayed(seen[chosen.key], slo.percentile)
    more = pool.money(c) > 1.0001 * pool.money(chosen)
    if c.guess.is_saturated or (c.key in seen and seen[c.key].is_saturated):
        code, reason = "saturated", _serves_less(mine, other, _name(chosen, c))
    elif slo.ttft_s and mine.ttft_s > slo.ttft_s:
        code = "ttft-missed"
        reason = _missed("TTFT", mine.kind, mine.ttft_s, slo.ttft_s, 0)
    elif slo.itl_s and mine.itl_s > slo.itl_s:
        code, reason = "itl-missed", _missed("ITL", mine.kind, mine.itl_s, slo.itl_s, 1)
    elif more:
        code = "costs-more"
        reason = (
            f"{_money(c, pool)} where {_money(chosen, pool)} is enough; ITL{mine.kind} "
            f"{mine.itl_s * 1e3:.1f} ms, TTFT {mine.ttft_s * 1e3:,.0f} ms"
        )
    else:
        worse = mine.worse_in(other)
        code = "dominated" if len(worse) == 3 else "slower"
        doubt = _in_doubt(mine, other, c, chosen)
        said = ", and ".join(filter(None, (", ".join(worse), doubt)))
        said = said or "no better in any figure, and deeper"
        reason = f"{said} of {_name(chosen, c)}{_link(c, chosen)}"
    return Rejected(layout=c.layout, code=code, reason=reason, basis=c.ask.basis)


def yields_less(c: Candidate, chosen: Candidate, pool: Pool) -> Rejected:
    """Say what a layout yields at the load that suits it, where the load is free."""
    per = "dollar an hour" if pool.is_priced else "GPU"
    mine, other = (x.guess.output_tokens_per_s / pool.money(x) for x in (c, chosen))
    code, slo = "yields-less", c.ask.request.slo
    reason = (
        f"{mine:,.0f} output tokens/s per {per} at {c.guess.concurrency:,} requests at once "
        f"against {other:,.0f} of {_name(chosen, c)} (estimated)"
    )
    if excess(slo, c.guess.ttft_s, c.guess.itl_s) > 1:
        code = "limits-missed"
        reason = (
            f"even alone a request sees TTFT {c.guess.ttft_s * 1e3:,.0f} ms and "
            f"ITL {c.guess.itl_s * 1e3:.1f} ms (estimated)"
        )
    elif mine >= other:
        code, reason = "limits-missed", f"{reason}, but its replay misses the limits at that load"
    return Rejected(layout=c.layout, code=code, reason=reason, basis=c.ask.basis)


def _in_doubt(mine: Figures, other: Figures, c: Candidate, chosen: Candidate) -> str:
    """Say that a group across nodes gains less than what its figures are doubted by."""
    if c.crosses_nodes and not chosen.crosses_nodes and mine.itl_s < 0.995 * other.itl_s:
        itl = f"ITL{mine.kind} {mine.itl_s * 1e3:.1f} ms against {other.itl_s * 1e3:.1f}"
        return (
            f"{itl}, less than the {CROSSING_DOUBT - 1:.0%} that a group across nodes, where "
            "nothing was measured, must gain on that"
        )
    return ""


def _serves_less(mine: Figures, other: Figures, chosen: str) -> str:
    """Say how much of a load that is too much for it a layout serves."""
    have, most = mine.output_tokens_per_s, other.output_tokens_per_s
    kind = " (estimated)" if "estimated" in mine.kind else ""
    return (
        f"the load is more than it can serve: {have:,.0f} output tokens/s against {most:,.0f} of "
        f"{chosen}{kind}"
    )


def _missed(name: str, kind: str, have_s: float, limit_s: float, digits: int) -> str:
    have, limit = have_s * 1e3, limit_s * 1e3
    return (
        f"{name}{kind} {have:,.{digits}f} ms, {have - limit:,.{digits}f} ms over the limit of "
        f"{limit:,.{digits}f}"
    )


def _money(c: Candidate, pool: Pool) -> str:
    gpus = f"{c.layout.num_gpus} GPUs"
    return f"{gpus} at {c.usd_per_hour:,.2f} dollars/h" if pool.is_priced else gpus


def _name(chosen: Candidate, c: Candidate) -> str:
    same = chosen.ask.basis == c.ask.basis
    return str(chosen.layout) if same else "the choice"


def _link(c: Candidate, chosen: Candidate) -> str:
    """Name the slow link where tensor parallelism crosses it and the chosen layout does not."""
    mine, other = c.setup.tensor_link, chosen.setup.tensor_link
    if mine.name == other.name or c.ask.basis != chosen.ask.basis:
        return ""
    return (
        f"; its all-reduces cross {mine.name} at {mine.bytes_per_s / 1e9:.0f} GB/s and "
        f"{mine.latency_s * 1e6:.0f} us, not {other.name}"
    )
