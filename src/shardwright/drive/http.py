"""A small HTTP client over sockets that somebody else opens, behind the Http port.

The sockets come from where the members live, which may be another network namespace, so the
client cannot open them itself. Only plain HTTP: the members are on this machine.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from shardwright.model.running import Reply, Unreachable

Connect = Callable[[str, int], socket.socket]


class LocalHttp:
    """HTTP through `connect(host, port)`."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def send(
        self, url: str, *, body: Mapping[str, Any] | None, key: str | None, timeout_s: float
    ) -> Reply:
        """GET, or POST of a JSON body; raises Unreachable."""
        try:
            with self._open(url, body, key, timeout_s) as response:
                return Reply(status=response.status, body=response.read())
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(_said(error)) from error

    def stream(
        self, url: str, *, body: Mapping[str, Any], key: str | None, timeout_s: float
    ) -> Iterator[str]:
        """POST, then yield the data of each server-sent event as it comes; raises Unreachable."""
        try:
            with self._open(url, body, key, timeout_s) as response:
                if response.status != http.client.OK:
                    raise Unreachable(f"status {response.status}: {response.read(500)!r}")
                for line in response:
                    if line.startswith(b"data:"):
                        yield line.removeprefix(b"data:").strip().decode()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(_said(error)) from error

    def _open(
        self, url: str, body: Mapping[str, Any] | None, key: str | None, timeout_s: float
    ) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
        headers = {"Connection": "close"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(host, port)
        connection.sock = self._connect(host, port)
        connection.sock.settimeout(timeout_s)
        try:
            encoded = None if body is None else json.dumps(body).encode()
            connection.request("GET" if body is None else "POST", parts.path, encoded, headers)
            return connection.getresponse()
        except BaseException:
            connection.close()
            raise


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__
