"""A small server of the OpenAI protocol whose speed is set: what a load tool should find is known.

    python tests/integration/slow_server.py PORT --ttft 0.06 --itl 0.008 --slots 8

A request waits for one of the slots, then for its first token, then for each further one. Its
/metrics speak vLLM's names. Standard library only, so that it runs in any environment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from contextlib import contextmanager


class SlowServer:
    """One server. slots: requests served at once; fail_every: every n-th is answered with 500.

    swap_after: from this request on it serves the model `other` and answers 404 for any other name.
    die_after: with this request the process ends. collects: answers are sent once they are whole,
    as by a proxy that buffers.
    """

    def __init__(
        self, *, ttft_s, itl_s, slots=1000, fail_every=0, model="slow", kv_tokens=0, swap_after=0,
        die_after=0, collects=False,
    ):  # fmt: skip
        self.ttft_s, self.itl_s, self.model = ttft_s, itl_s, model
        self.swap_after, self.die_after, self.collects = swap_after, die_after, collects
        self.slots, self.fail_every, self.kv_tokens = slots, fail_every, kv_tokens
        self.free = asyncio.Semaphore(slots)
        self.seen = self.running = self.waiting = self.preemptions = 0

    async def handle(self, reader, writer):
        """Serve one connection, request after request."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                words = head.split(b"\r\n", 1)[0].decode().split()
                size = 0
                for line in head.decode().lower().split("\r\n"):
                    if line.startswith("content-length:"):
                        size = int(line.split(":")[1])
                body = await reader.readexactly(size)
                if words[0] == "HEAD":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    continue
                await self.answer(words[1], body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, path, body, writer):
        """Answer by path."""
        if path == "/v1/models":
            return await _plain(writer, 200, json.dumps({"data": [{"id": self.model}]}))
        if path == "/metrics":
            return await _plain(writer, 200, self.metrics(), "text/plain; version=0.0.4")
        if path == "/health":
            return await _plain(writer, 200, "")
        if path != "/v1/chat/completions":
            return await _plain(writer, 404, "{}")
        self.seen += 1
        if self.seen == self.die_after:
            os._exit(1)
        if self.fail_every and self.seen % self.fail_every == 0:
            return await _plain(writer, 500, json.dumps({"error": {"message": "out of luck"}}))
        asked = json.loads(body)
        if self.swap_after and self.seen >= self.swap_after:
            self.model = "other"
            if asked["model"] != self.model:
                message = f"The model `{asked['model']}` does not exist."
                error = {"message": message, "type": "NotFoundError", "param": "model", "code": 404}
                return await _plain(writer, 404, json.dumps({"error": error}))
        return await self.stream(asked, writer)

    async def stream(self, asked, writer):
        """Stream as many tokens as are asked for."""
        count = asked.get("max_completion_tokens") or asked.get("max_tokens") or 16
        self.waiting += 1
        async with self.free:
            self.waiting -= 1
            self.running += 1
            try:
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n"
                )
                clock = asyncio.get_running_loop()
                due = clock.time() + self.ttft_s
                for number in range(count):
                    await asyncio.sleep(max(0.0, due - clock.time()))
                    due += self.itl_s
                    if not self.collects:
                        await _token(writer, " the")
                    elif number == count - 1:
                        await _token(writer, " the" * count)
                usage = {"prompt_tokens": 1, "completion_tokens": count, "total_tokens": count + 1}
                await _event(writer, {"choices": [], "usage": usage})
                await _chunk(writer, b"data: [DONE]\n\n")
                writer.write(b"0\r\n\r\n")
                await writer.drain()
            finally:
                self.running -= 1

    def metrics(self):
        """Say how it is, in vLLM's names."""
        usage = min(1.0, self.running / self.kv_tokens) if self.kv_tokens else 0.0
        if usage >= 1.0 and self.waiting:
            self.preemptions += 1
        rows = (
            ("gauge", "vllm:num_requests_running", self.running),
            ("gauge", "vllm:num_requests_waiting", self.waiting),
            ("gauge", "vllm:kv_cache_usage_perc", usage),
            ("counter", "vllm:num_preemptions_total", self.preemptions),
        )
        return "".join(f"# TYPE {n} {kind}\n{n} {value}\n" for kind, n, value in rows)


async def _plain(writer, status, text, kind="application/json"):
    data = text.encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    await writer.drain()


async def _token(writer, text):
    await _event(writer, {"choices": [{"index": 0, "delta": {"content": text}}]})


async def _event(writer, value):
    value = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "slow", **value}
    await _chunk(writer, f"data: {json.dumps(value)}\n\n".encode())


async def _chunk(writer, data):
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    await writer.drain()


@contextmanager
def slow_server(*options):
    """Start one in a process of its own; yield its address."""
    command = [sys.executable, __file__, "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield f"http://127.0.0.1:{server.stdout.readline().split()[-1]}"
        server.terminate()


async def _main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--ttft", type=float, default=0.06)
    parser.add_argument("--itl", type=float, default=0.008)
    parser.add_argument("--slots", type=int, default=1000)
    parser.add_argument("--fail-every", type=int, default=0)
    parser.add_argument("--swap-after", type=int, default=0)
    parser.add_argument("--die-after", type=int, default=0)
    parser.add_argument("--collects", action="store_true")
    parser.add_argument("--kv-slots", type=int, default=0, help="running requests that fill it")
    asked = parser.parse_args()
    served = SlowServer(
        ttft_s=asked.ttft, itl_s=asked.itl, slots=asked.slots, fail_every=asked.fail_every,
        kv_tokens=asked.kv_slots, swap_after=asked.swap_after, die_after=asked.die_after,
        collects=asked.collects,
    )  # fmt: skip
    server = await asyncio.start_server(served.handle, "127.0.0.1", asked.port)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
