"""Asking an API server again that is too busy now, as its other clients do. Called by drive/kube.

A server under load refuses before it does anything and says when to come back (429, or 5xx, with
Retry-After in seconds), so the same request may be sent again, whatever it is.
Source: k8s.io/client-go v0.34.0, rest/request.go (maxRetries) and rest/with_retry.go (2025-08).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

import httpx2 as httpx

MAX_RETRIES = 10
MAX_PAUSE_S = 60.0
"""A server that asks for more is down for longer than a command should be silent."""


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


def patiently(send: Callable[[], httpx.Response], sleep: Callable[[float], None]) -> httpx.Response:
    """Send again while the server asks for it, ten times at most; return its last answer."""
    for _ in range(MAX_RETRIES):
        response = send()
        pause = pause_s(response.status_code, response.headers)
        if pause is None:
            return response
        response.close()
        sleep(pause)
    return send()
