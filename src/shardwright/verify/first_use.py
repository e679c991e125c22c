"""The first things a user does with a new endpoint: one completion, and one that streams.

Called by deploy, before traffic moves and after. Needs no tokenizer and no chat template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shardwright.model.running import Clock
from shardwright.verify.attempts import Check, healthy, listed, streamed, tried
from shardwright.verify.client import BadAnswer, Client

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
            yield tried(name, attempt, self.clock)

    def _completion(self) -> str:
        answer = self.client.complete(_WORDS, NUM_TOKENS)
        made = answer["usage"]["completion_tokens"]
        if made < 1:
            raise BadAnswer("a completion of no tokens")
        return f"{made} tokens"

    def _stream(self) -> str:
        chunks = self.client.stream_completion(_WORDS, NUM_TOKENS)
        return streamed(chunks, self.clock, at_least=1)
