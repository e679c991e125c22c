"""What we ask of an OpenAI-compatible endpoint, and how its answers are read.

Prompts are token ids, so no tokenizer stands between the weights and the comparison.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shardwright.model.running import Http, Unreachable
from shardwright.verify.agreement import Chosen, Scored
from shardwright.verify.words import answer_words

_TIMEOUT_S = 180.0
_TOP = 5


class BadAnswer(Exception):  # noqa: N818  (an observation of the endpoint, not a fault of ours)
    """The endpoint answered, but not as it should; the message says what came instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One endpoint. base: `http://host:port`; key: its bearer token, if it wants one."""

    http: Http
    base: str
    model: str
    key: str | None = None

    def status(self, path: str, *, key: str | None = None, timeout_s: float = 10.0) -> int:
        """Status of a GET; raises Unreachable."""
        return self.http.send(f"{self.base}{path}", body=None, key=key, timeout_s=timeout_s).status

    def get(self, path: str) -> Any:
        """JSON of a GET; raises Unreachable and BadAnswer."""
        return self._ask(path, None)

    def chat(self, words: str, max_tokens: int, *, timeout_s: float = _TIMEOUT_S) -> Any:
        """JSON of a chat completion."""
        return self._ask("/v1/chat/completions", self._chat(words, max_tokens), timeout_s)

    def stream_chat(self, words: str, max_tokens: int) -> Iterator[Any]:
        """Chunks of a streamed chat completion, as they come; ends at the end marker."""
        return self._stream("/v1/chat/completions", self._chat(words, max_tokens))

    def complete(self, words: str, max_tokens: int) -> Any:
        """JSON of a completion; every model has these, chat needs a template."""
        return self._ask("/v1/completions", self._words(words, max_tokens))

    def stream_completion(self, words: str, max_tokens: int) -> Iterator[Any]:
        """Chunks of a streamed completion, as they come; ends at the end marker."""
        return self._stream("/v1/completions", self._words(words, max_tokens))

    def choose(
        self, prompt: tuple[int, ...], max_tokens: int, timeout_s: float = _TIMEOUT_S
    ) -> tuple[Chosen, ...]:
        """Tokens the endpoint chooses greedily after a prompt, with their log probabilities."""
        body = self._completion(prompt, max_tokens) | {
            "logprobs": 1,
            "ignore_eos": True,
            "return_tokens_as_token_ids": True,
        }
        answer = self._ask("/v1/completions", body, timeout_s)
        try:
            logprobs = answer["choices"][0]["logprobs"]
            return tuple(
                Chosen(token=int(token.removeprefix("token_id:")), logprob=float(logprob))
                for token, logprob in zip(
                    logprobs["tokens"], logprobs["token_logprobs"], strict=True
                )
            )
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BadAnswer(f"a completion without log probabilities: {error!r}") from error

    def score(self, prompt: tuple[int, ...], chosen: tuple[Chosen, ...]) -> tuple[Scored, ...]:
        """Score given tokens after a prompt, each after the given ones before it."""
        whole = (*prompt, *(c.token for c in chosen))
        answer = self._ask(
            "/v1/completions", self._completion(whole, 1) | {"prompt_logprobs": _TOP}
        )
        try:
            positions = answer["choices"][0]["prompt_logprobs"][len(prompt) :]
            return tuple(
                _scored(position, c.token) for position, c in zip(positions, chosen, strict=True)
            )
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BadAnswer(f"a completion without prompt log probabilities: {error!r}") from error

    def _chat(self, words: str, max_tokens: int) -> dict[str, Any]:
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": words}],
            "max_tokens": max_tokens,
            "temperature": 0,
            "ignore_eos": True,
        }

    def _words(self, words: str, max_tokens: int) -> dict[str, Any]:
        return {
            "model": self.model,
            "prompt": words,
            "max_tokens": max_tokens,
            "temperature": 0,
            "ignore_eos": True,
        }

    def _stream(self, path: str, body: dict[str, Any]) -> Iterator[Any]:
        url = f"{self.base}{path}"
        streamed = body | {"stream": True}
        for data in self.http.stream(url, body=streamed, key=self.key, timeout_s=_TIMEOUT_S):
            if data == "[DONE]":
                return
            try:
                chunk = json.loads(data)
            except ValueError as error:
                raise BadAnswer(f"a chunk that is not JSON: {data[:100]}") from error
            if isinstance(chunk, dict) and "error" in chunk:
                # vLLM sends the end marker after it all the same
                raise BadAnswer(f"the stream broke off: {answer_words(data)[:200]}")
            yield chunk
        raise Unreachable("the stream ended before its end marker")

    def _completion(self, prompt: tuple[int, ...], max_tokens: int) -> dict[str, Any]:
        return {
            "model": self.model,
            "prompt": list(prompt),
            "max_tokens": max_tokens,
            "temperature": 0,
        }

    def _ask(self, path: str, body: Any, timeout_s: float = _TIMEOUT_S) -> Any:
        reply = self.http.send(f"{self.base}{path}", body=body, key=self.key, timeout_s=timeout_s)
        if reply.status != 200:
            said = reply.body[:300].decode(errors="replace")
            raise BadAnswer(f"{path} answered {reply.status}: {said}")
        try:
            return json.loads(reply.body)
        except ValueError as error:
            raise BadAnswer(f"{path} answered something that is not JSON") from error


def _scored(position: dict[str, Any], token: int) -> Scored:
    best = max(position, key=lambda name: float(position[name]["logprob"]))
    return Scored(
        logprob=float(position[str(token)]["logprob"]),
        best_token=int(best),
        best_logprob=float(position[best]["logprob"]),
    )
