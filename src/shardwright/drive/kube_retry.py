"""Asking an API server again that is too busy or away now. Called by drive/kube.

A server under load refuses before it does anything and says when to come back (429, or 5xx, with
Retry-After in seconds), so the same request may be sent again, whatever it is. A line that breaks,
or a proxy that answers for a server, tells nothing of what was done: only what may be done twice
is sent again then.
Source: k8s.io/client-go v0.34.0, rest/request.go (maxRetries) and rest/with_retry.go (2025-08).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

import httpx2 as httpx

MAX_RETRIES = 10
MAX_PAUSE_S = 60.0
"""A server that asks for more is down for longer than a command should be silent."""

PAUSES_S = (1.0, 2.0, 4.0, 8.0)
"""Between tries of a server that does not say when: 15 s in all, as a failover may take."""
REPEATABLE = frozenset({"GET", "PATCH", "DELETE"})
"""Every PATCH is a server-side apply: twice is once."""
LOST = (httpx.ReadError, httpx.WriteError, httpx.CloseError, httpx.RemoteProtocolError)
"""A connection that was there and broke. One that was never there may be a wrong address."""
_PASSING = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


def pause_s(status_code: int, headers: Mapping[str, str]) -> float | None:
    """Return the seconds after which a server wants to be asked again; None: that is its answer.

    >>> pause_s(429, {"retry-after": "2"})
    2.0
    >>> pause_s(429, {}) is pause_s(404, {"retry-after": "2"}) is None
    True
    """
    if status_code != HTTPStatus.TOO_MANY_REQUESTS and status_code < 500:
        return None
    said = headers.get("retry-after", "").strip()
    if not said.isascii() or not said.isdigit() or int(said) > MAX_PAUSE_S:
        return None
    return float(said)


def is_passing(status_code: int, headers: Mapping[str, str]) -> bool:
    """Tell whether a refusal is one of now, though nobody says until when.

    >>> is_passing(503, {}), is_passing(503, {"retry-after": "3600"}), is_passing(500, {})
    (True, False, False)
    """
    return status_code in _PASSING and not headers.get("retry-after", "").strip().isdigit()


def patiently(
    send: Callable[[], httpx.Response],
    sleep: Callable[[float], None],
    *,
    is_repeatable: bool = False,
    lost: tuple[type[httpx.TransportError], ...] = LOST,
) -> httpx.Response:
    """Send again while the server asks for it, ten times at most; return its last answer.

    is_repeatable: may be sent twice without harm, so it is sent again, four times at most, after a
    broken line or a refusal that names no time. lost: what counts as a broken line.
    """
    own = iter(PAUSES_S if is_repeatable else ())
    for _ in range(MAX_RETRIES):
        try:
            response = send()
        except lost:
            pause = next(own, None)
            if pause is None:
                raise
        else:
            pause = pause_s(response.status_code, response.headers)
            if pause is None and is_passing(response.status_code, response.headers):
                pause = next(own, None)
            if pause is None:
                return response
            response.close()
        sleep(pause)
    return send()
