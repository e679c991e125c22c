"""The first things a user does with a new endpoint: one completion, and one that streams.

Called by deploy, before traffic moves and after. Needs no tokenizer and no chat template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from shardwright.model.running import Clock
from shardwright.verify.attempts import Check, healthy, listed, streamed, tried
from shardwright.verify.client import BadAnswer, Client

NUM_TRIES = 3
PAUSE_S = 2.0
"""What is in between, the API server's proxy or a kube-proxy that has not heard of a new pod yet,
may break a line once; weights that took half an hour to load are not given up for that."""
QUICK_S = 30.0
"""An answer that took longer to fail was waited for long enough."""
NUM_TOKENS = 8
_WORDS = "1 2 3"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstUse:
    """Tries one endpoint; a failed try is a result, never an exception."""

    client: Client
    clock: Clock
    health_path: str

    def checks(self, *, without_key: bool = False) -> Iterator[Check]:
        """Try everything in turn; without_key: only what needs no API key."""
        tries: list[tuple[str, Callable[[], str]]] = [
            ("health", lambda: healthy(self.client, self.health_path))
        ]
        if not without_key:
            tries += [
                ("models", lambda: listed(self.client)),
                ("completion", self._completion),
                ("stream", self._stream),
            ]
        for name, attempt in tries:
            yield self._patiently(name, attempt)

    def _patiently(self, name: str, attempt: Callable[[], str]) -> Check:
        """Try until it passes, a few times; what passed late says so, with the first failure."""
        first = check = tried(name, attempt, self.clock)
        for number in range(2, NUM_TRIES + 1):
            if check.passed or check.took_s > QUICK_S:
                break
            self.clock.sleep(PAUSE_S)
            check = tried(name, attempt, self.clock)
            if check.passed:
                late = f"{check.detail}, at try {number}; at the first: {first.detail}"
                return replace(check, detail=late)
        return check

    def _completion(self) -> str:
        answer = self.client.complete(_WORDS, NUM_TOKENS)
        made = answer["usage"]["completion_tokens"]
        if made < 1:
            raise BadAnswer("a completion of no tokens")
        return f"{made} tokens"

    def _stream(self) -> str:
        chunks = self.client.stream_completion(_WORDS, NUM_TOKENS)
        return streamed(chunks, self.clock, at_least=1)
