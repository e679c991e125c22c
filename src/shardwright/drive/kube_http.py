"""HTTP to a Service or a pod through the API server, behind the Http port: it needs no route there.

The API server keeps the Authorization header to itself, so a key cannot be passed on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2 as httpx

from shardwright.model.running import Reply, Unreachable


class ProxiedHttp:
    """Sends to paths below a proxy of the API server: those of `KubeCluster.proxy_base`."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def send(
        self, url: str, *, body: Mapping[str, Any] | None, key: str | None, timeout_s: float
    ) -> Reply:
        """GET, or POST of a JSON body; raises Unreachable."""
        del key
        method = "GET" if body is None else "POST"
        try:
            reply = self._client.request(method, url, json=body, timeout=timeout_s)
        except httpx.TransportError as error:
            raise Unreachable(str(error) or type(error).__name__) from error
        return Reply(status=reply.status_code, body=reply.content)

    def stream(
        self, url: str, *, body: Mapping[str, Any], key: str | None, timeout_s: float
    ) -> Iterator[str]:
        """POST, then yield the data of each server-sent event as it comes; raises Unreachable."""
        del key
        encoded = json.dumps(dict(body)).encode()
        headers = {"Content-Type": "application/json"}
        try:
            with self._client.stream(
                "POST", url, content=encoded, headers=headers, timeout=timeout_s
            ) as reply:
                if reply.status_code != httpx.codes.OK:
                    raise Unreachable(f"status {reply.status_code}: {reply.read()[:500]!r}")
                for line in reply.iter_lines():
                    if line.startswith("data:"):
                        yield line.removeprefix("data:").strip()
        except httpx.TransportError as error:
            raise Unreachable(str(error) or type(error).__name__) from error
