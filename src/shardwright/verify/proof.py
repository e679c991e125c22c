"""What a running endpoint must show: that it answers everything a client will ask of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from shardwright.model.running import Clock
from shardwright.verify.agreement import Chosen, Scored
from shardwright.verify.attempts import Check, healthy, listed, streamed, tried
from shardwright.verify.client import BadAnswer, Client

NUM_TOKENS = 12
NUM_CONCURRENT = 6
NUM_PROMPTS = 4
_WORDS = "Which layers does stage 1 hold?"


def prompts(vocab_size: int, count: int, length: int = 16) -> tuple[tuple[int, ...], ...]:
    """Write prompts of token ids that differ, the same ones every time.

    >>> prompts(1000, 2, length=3)
    ((11, 228, 445), (338, 555, 772))
    """
    return tuple(
        tuple(11 + (217 * i + 327 * number) % (vocab_size - 64) for i in range(length))
        for number in range(count)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prover:
    """Tries one endpoint; every try says in a few words what came, or raises BadAnswer."""

    client: Client
    clock: Clock
    vocab_size: int
    health_path: str

    def checks(self) -> Iterator[Check]:
        """Try everything in turn; a failed check is a result, never an exception."""
        tries: list[tuple[str, Callable[[], str]]] = [
            ("health", lambda: healthy(self.client, self.health_path)),
            ("models", lambda: listed(self.client)),
            ("chat", self._chat),
            ("stream", self._stream),
            ("batch", self._batch),
        ]
        if self.client.key:
            tries.append(("key", self._key))
        for name, attempt in tries:
            yield tried(name, attempt, self.clock)

    def _chat(self) -> str:
        answer = self.client.chat(_WORDS, NUM_TOKENS)
        made = answer["usage"]["completion_tokens"]
        if made != NUM_TOKENS or not isinstance(answer["choices"][0]["message"]["content"], str):
            raise BadAnswer(f"{made} of {NUM_TOKENS} tokens")
        return f"{made} tokens"

    def _stream(self) -> str:
        return streamed(self.client.stream_chat(_WORDS, NUM_TOKENS), self.clock, at_least=2)

    def _batch(self) -> str:
        asked = prompts(self.vocab_size, NUM_CONCURRENT)
        with ThreadPoolExecutor(NUM_CONCURRENT) as pool:
            answers = list(pool.map(lambda prompt: self.client.choose(prompt, NUM_TOKENS), asked))
        short = [len(answer) for answer in answers if len(answer) != NUM_TOKENS]
        if short:
            raise BadAnswer(f"answers of {short} tokens instead of {NUM_TOKENS}")
        return f"{NUM_CONCURRENT} requests at once, {NUM_TOKENS} tokens each"

    def _key(self) -> str:
        status = self.client.status("/v1/models")
        if status not in (401, 403):
            raise BadAnswer(f"/v1/models answered {status} without the key")
        return "refuses requests without the key"


def choose_all(client: Client, vocab_size: int) -> tuple[tuple[Chosen, ...], ...]:
    """Let the endpoint continue every prompt greedily."""
    return tuple(client.choose(p, NUM_TOKENS) for p in prompts(vocab_size, NUM_PROMPTS))


def score_all(
    client: Client, vocab_size: int, chosen: tuple[tuple[Chosen, ...], ...]
) -> tuple[tuple[Scored, ...], ...]:
    """Let the endpoint score what another chose for the same prompts."""
    asked = prompts(vocab_size, NUM_PROMPTS)
    return tuple(client.score(p, c) for p, c in zip(asked, chosen, strict=True))
