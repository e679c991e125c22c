"""What in a measurement is of the way it was made, not of the engine: told beside the verdict."""

from __future__ import annotations

from shardwright.model.finding import Finding, Severity
from shardwright.model.measured import Measured

CLIENT_BOUND = "client-bound"
IN_ONE_PIECE = "answers-in-one-piece"
OF_NO_ENGINE = frozenset({CLIENT_BOUND, IN_ONE_PIECE})
"""What makes figures useless for fitting the speed of an engine."""
CLIENT_BOUND_SHARE = 0.8  # of the asked concurrency that must really be in flight
CLIENT_BOUND_DELAY = 0.1  # of the first-token time that the client itself may add
ONE_PIECE_S = 1e-5  # seconds a token; no engine is that quick
ONE_PIECE_SHARE = 0.1  # of the answers; a few short ones are no pattern


def client_bound(measured: Measured) -> tuple[Finding, ...]:
    """The load tool could not send what was asked, so the figures are of it."""
    asked, had = measured.concurrency, measured.effective_concurrency
    # the ends of a run are not full: only runs of many rounds tell
    left_out = measured.window.num_left_out if measured.window else 0
    is_long = asked is not None and measured.num_completed + left_out >= 10 * asked
    ttft = measured.ttft.at(50) if measured.ttft else None
    what = None
    if asked and had is not None and is_long and had < CLIENT_BOUND_SHARE * asked:
        what = f"only {had:.1f} of {asked} requests were in flight"
    elif measured.send_delay_s and ttft and measured.send_delay_s > CLIENT_BOUND_DELAY * ttft:
        what = f"requests left the client {measured.send_delay_s * 1e3:.0f} ms late (p95)"
    if what is None:
        return ()
    return (
        Finding(
            code=CLIENT_BOUND,
            severity=Severity.WARNING,
            what=f"the client, not the server, was the limit: {what}",
            remedy="give the load generator more cores, or run it as a Job in the cluster",
        ),
    )


def in_one_piece(measured: Measured) -> tuple[Finding, ...]:
    """Streamed answers whose tokens all came at once: their first token is the last one too."""
    gaps = [s.itl_s for s in measured.samples if s.itl_s is not None and (s.output_tokens or 0) > 1]
    share = sum(gap < ONE_PIECE_S for gap in gaps) / len(gaps) if gaps else 0.0
    if share <= ONE_PIECE_SHARE:
        return ()
    return (
        Finding(
            code=IN_ONE_PIECE,
            severity=Severity.WARNING,
            what=f"{share:.0%} of the answers came in one piece, the first token with the last",
            why="a proxy that collects the stream, or an engine quicker than its own HTTP server",
            remedy="look for a proxy that buffers (nginx: proxy_buffering off), or bench beside "
            "the engine",
        ),
    )
