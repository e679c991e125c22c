"""What a load test measured, whichever tool ran it. Times in seconds.

Made by `shardwright.verify.readers`; judged by `shardwright.verify.verdict`; kept as records.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shardwright.model.finding import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One completed request of the measured phase. itl_s: its mean time between tokens."""

    start_s: float
    ttft_s: float | None
    itl_s: float | None
    latency_s: float
    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A summary of one quantity over requests, seconds. percentiles: (rank in %, value)."""

    count: int
    mean: float
    percentiles: tuple[tuple[float, float], ...]

    def at(self, percentile: float) -> float | None:
        """Return the value at a percentile, if the tool reported it.

        >>> Distribution(count=9, mean=1.0, percentiles=((95.0, 2.0),)).at(95)
        2.0
        """
        return dict(self.percentiles).get(float(percentile))


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The part of a run that counts, in seconds from its first request; num_left_out: completed
    requests outside it. Of several runs together there are no common instants: then the lengths of
    their windows are added from 0, and num_runs says of how many.
    """

    start_s: float
    end_s: float
    num_left_out: int
    num_runs: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One load test. ttft and itl are None if the answers were not streamed.

    itl is over requests of each request's mean, as AIPerf defines it. samples: one per completed
    request, where the tool kept them; errors: distinct messages, most frequent first.
    effective_concurrency: requests in flight on average; send_delay: from the moment a request was
    due to the moment it left the client. window: the steady state that the figures are of, None if
    they are of the whole run. told_tokens_per_s: the tool's own word, for results that tell neither
    how many requests nor how long.
    """

    tool: str
    tool_version: str | None
    model: str | None
    num_completed: int
    num_failed: int
    duration_s: float
    output_tokens: int | None
    concurrency: int | None = None
    requests_per_s: float | None = None
    ttft: Distribution | None = None
    itl: Distribution | None = None
    latency: Distribution | None = None
    effective_concurrency: float | None = None
    send_delay_s: float | None = None
    samples: tuple[Sample, ...] = ()
    errors: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = field(default=())
    window: Window | None = None
    told_tokens_per_s: float | None = None

    @property
    def is_counted(self) -> bool:
        """Whether the result says of how many requests its figures are."""
        return self.num_completed + self.num_failed > 0 or self.latency is None

    @property
    def error_rate(self) -> float:
        """Failed requests among all, 0 to 1; 0 if there were none."""
        total = self.num_completed + self.num_failed
        total += self.window.num_left_out if self.window else 0
        return self.num_failed / total if total else 0.0

    @property
    def output_tokens_per_s(self) -> float | None:
        """Output tokens per second over the whole run."""
        if self.output_tokens is None or self.duration_s <= 0:
            return self.told_tokens_per_s
        return self.output_tokens / self.duration_s
