"""The first things a user does with a new endpoint: one completion, and one that streams.

Called by deploy, before traffic moves and after. Needs no tokenizer and no chat template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shardwright.model.running import Clock
from shardwright.verify.client import BadAnswer, Client
from shardwright.verify.proof import Check, tried

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
        tries: list[tuple[str, Callable[[], str]]] = [("health", self._health)]
        if not without_key:
            tries += [
                ("models", self._models),
                ("completion", self._completion),
                ("stream", self._stream),
            ]
        for name, attempt in tries:
            yield tried(name, attempt, self.clock)

    def _health(self) -> str:
        status = self.client.status(self.health_path)
        if status != 200:
            raise BadAnswer(f"{self.health_path} answered {status}")
        return f"{self.health_path} answers 200"

    def _models(self) -> str:
        names = [model["id"] for model in self.client.get("/v1/models")["data"]]
        if self.client.model not in names:
            raise BadAnswer(f"{self.client.model} is not among {names}")
        return f"serves {self.client.model}"

    def _completion(self) -> str:
        answer = self.client.complete(_WORDS, NUM_TOKENS)
        made = answer["usage"]["completion_tokens"]
        if made < 1:
            raise BadAnswer("a completion of no tokens")
        return f"{made} tokens"

    def _stream(self) -> str:
        began, first, chunks = self.clock.now(), None, 0
        for chunk in self.client.stream_completion(_WORDS, NUM_TOKENS):
            first = first if first is not None else self.clock.now() - began
            chunks += bool(chunk["choices"])
        if first is None or not chunks:
            raise BadAnswer(f"{chunks} chunks")
        return f"{chunks} chunks, the first after {first:.1f} s"
