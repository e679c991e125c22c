"""In-memory adapters: a clock, programs and an endpoint that live in this process only.

They obey the same ports as the real ones, so a whole rehearsal can be run in a test in no time, and
every fault can be staged: a program that dies, a rank that vanishes, an endpoint that lies.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shardwright.model.running import (
    Command,
    Exited,
    Happening,
    Leftovers,
    Line,
    Reply,
    Seat,
    Unreachable,
)


@dataclass(slots=True)
class MemoryClock:
    """Time that passes when it is told to."""

    time_s: float = 0.0

    def now(self) -> float:
        """Seconds since the clock was made."""
        return self.time_s

    def sleep(self, duration_s: float) -> None:
        """Let time pass at once."""
        self.time_s += duration_s


Script = Callable[[Command], tuple[tuple[float, str | int], ...]]
"""What a program will do: seconds after its start, and a line it writes or its exit status."""


@dataclass(slots=True, kw_only=True)
class MemorySupervisor:
    """Programs that follow a script. killed: pids that were asked to die."""

    seats: tuple[Seat, ...]
    clock: MemoryClock
    script: Script
    on_kill: Callable[[int], tuple[Happening, ...]] = lambda _: ()
    listening: Callable[[int, int], bool] = lambda _, __: True
    started: list[Command] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    stops: int = 0
    _due: list[tuple[float, Happening]] = field(default_factory=list)

    def start(self, command: Command) -> None:
        """Put what the program will do on the calendar."""
        self.started.append(command)
        member, process = command.member, command.name
        for delay_s, what in self.script(command):
            happening: Happening = (
                Line(member=member, process=process, text=what)
                if isinstance(what, str)
                else Exited(member=member, process=process, code=what)
            )
            self._due.append((self.clock.now() + delay_s, happening))
        self._due.sort(key=lambda due: due[0])

    def poll(self, timeout_s: float) -> tuple[Happening, ...]:
        """Pass time until the next happening, or all of timeout_s."""
        until = self.clock.now() + timeout_s
        if self._due:
            until = max(self.clock.now(), min(until, self._due[0][0]))
        self.clock.time_s = until
        now = [happening for at_s, happening in self._due if at_s <= until]
        self._due = [due for due in self._due if due[0] > until]
        return tuple(now)

    def is_listening(self, member: int, port: int) -> bool:
        """Ask the script."""
        return self.listening(member, port)

    def kill(self, pid: int) -> None:
        """Note it, and let happen what follows from it."""
        self.killed.append(pid)
        self._due = [(self.clock.now(), happening) for happening in self.on_kill(pid)] + self._due

    def stop(self, grace_s: float) -> Leftovers:
        """Clear the calendar."""
        del grace_s
        self.stops += 1
        self._due.clear()
        return Leftovers()


Model = Callable[[tuple[int, ...], int], float]
"""Log probability of a token after some others."""


@dataclass(slots=True, kw_only=True)
class MemoryEndpoint:
    """An OpenAI-compatible endpoint over a model that is a function. is_up: whether it answers."""

    model: Model
    vocab_size: int
    served_name: str
    is_up: Callable[[], bool] = lambda: True
    key: str | None = None

    def send(
        self, url: str, *, body: Mapping[str, Any] | None, key: str | None, timeout_s: float
    ) -> Reply:
        """Answer as the engine does, in the fields a rehearsal reads."""
        del timeout_s
        if not self.is_up():
            raise Unreachable("connection refused")
        path = "/" + url.split("/", 3)[3]
        if path == "/health":
            return Reply(status=200, body=b"")
        if key != self.key:
            return Reply(status=401, body=b"{}")
        return Reply(status=200, body=json.dumps(self._answer(path, body or {})).encode())

    def stream(
        self, url: str, *, body: Mapping[str, Any], key: str | None, timeout_s: float
    ) -> Iterator[str]:
        """One chunk per token, then the end marker."""
        self.send(url, body=body, key=key, timeout_s=timeout_s)
        for _ in range(body["max_tokens"]):
            yield json.dumps({"choices": [{"delta": {"content": "x"}}]})
        yield "[DONE]"

    def _answer(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        if path == "/v1/models":
            return {"data": [{"id": self.served_name}]}
        if path == "/v1/chat/completions":
            words = {"message": {"content": "x" * body["max_tokens"]}}
            return {"choices": [words], "usage": {"completion_tokens": body["max_tokens"]}}
        if "prompt_logprobs" in body:
            return {"choices": [{"prompt_logprobs": self._scores(tuple(body["prompt"]))}]}
        return {"choices": [{"logprobs": self._choices(tuple(body["prompt"]), body["max_tokens"])}]}

    def _best(self, before: tuple[int, ...]) -> int:
        return max(range(self.vocab_size), key=lambda token: self.model(before, token))

    def _choices(self, prompt: tuple[int, ...], count: int) -> Mapping[str, Any]:
        tokens = prompt
        for _ in range(count):
            tokens = (*tokens, self._best(tokens))
        made = range(len(prompt), len(tokens))
        return {
            "tokens": [f"token_id:{tokens[i]}" for i in made],
            "token_logprobs": [self.model(tokens[:i], tokens[i]) for i in made],
        }

    def _scores(self, tokens: tuple[int, ...]) -> list[Any]:
        scores: list[Any] = [None]
        for i in range(1, len(tokens)):
            shown = {tokens[i], self._best(tokens[:i])}
            scores.append({str(t): {"logprob": self.model(tokens[:i], t)} for t in shown})
        return scores


def toy_model(seed: int, vocab_size: int) -> Model:
    """A model whose log probabilities depend on the last two tokens and the seed."""

    def logits(before: tuple[int, ...]) -> list[float]:
        state = hash((seed, *before[-2:]))
        return [4.0 * math.sin(state % 9973 + 7.3 * token) for token in range(vocab_size)]

    def logprob(before: tuple[int, ...], token: int) -> float:
        values = logits(before)
        return values[token] - math.log(sum(map(math.exp, values)))

    return logprob
