"""How a mechanism says in a pod what only the cluster knows: the symbols of the launch plan.

A value stands in Kubernetes' own `$(NAME)` form, which the kubelet expands in command lines and
environment values; inside a shell script the same names are written `${NAME}`.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from shardwright.model.process import EnvVar
from shardwright.model.text import (
    GroupSize,
    LeaderHost,
    MemberHost,
    MemberIndex,
    OwnAddress,
    RankIndex,
    SecretValue,
    Symbol,
    Text,
)
from shardwright.render.emit import Because, Object

_REFERENCE_OR_SHELL = re.compile(r"\$[({]([A-Za-z_][A-Za-z0-9_]*)[)}]")
_REFERENCE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """What the symbols become under one mechanism.

    member_host: with {index} for the index of the member. fields: names of environment variables
    the values refer to, with the pod field each is filled from.
    """

    leader_host: str
    member_host: str
    member_index: str
    group_size: str
    fields: tuple[tuple[str, str], ...] = ()

    def value(self, symbol: Symbol) -> str:
        """Write one symbol in `$(NAME)` form."""
        match symbol:
            case LeaderHost():
                return self.leader_host
            case MemberHost(index=index):
                return self.member_host.format(index=index)
            case MemberIndex():
                return self.member_index
            case GroupSize():
                return self.group_size
            case OwnAddress():
                return "$(POD_IP)"
            case RankIndex():
                raise AssertionError("a rank index is known to the rank's starter only")
            case SecretValue():
                raise AssertionError("a secret is an environment value of its own")

    def word(self, words: Text) -> str:
        """Write a text as one argument; a `$(` of the user's own is escaped."""
        return "".join(
            word.replace("$(", "$$(") if isinstance(word, str) else self.value(word)
            for word in words
        )

    def shell(self, words: Text) -> str:
        """Write a text as one word of a shell script."""
        parts = (
            shlex.quote(word) if isinstance(word, str) else self.shell_value(self.value(word))
            for word in words
            if word
        )
        return "".join(parts) or "''"

    def shell_value(self, value: str) -> str:
        """Write a value in `$(NAME)` form as part of a shell word."""
        return "".join(
            f'"${{{part}}}"' if i % 2 else shlex.quote(part)
            for i, part in enumerate(_REFERENCE.split(value))
            if part
        )

    def env(self, variables: tuple[EnvVar, ...], start: Object) -> list[Object]:
        """Write environment variables, after those that they or the start of the container use."""
        written = [self._variable(variable) for variable in variables]
        used = set(_REFERENCE_OR_SHELL.findall(repr((written, start))))
        known = (("POD_IP", "status.podIP"), *self.fields)
        return [_from_field(name, path) for name, path in known if name in used] + written

    def _variable(self, variable: EnvVar) -> Object:
        match variable.value:
            case (SecretValue(secret=secret, key=key),):
                source = {"secretKeyRef": {"name": secret, "key": key}}
                entry: Object = {"name": variable.name, "valueFrom": source}
            case (OwnAddress(),):
                entry = _from_field(variable.name, "status.podIP")
            case words:
                entry = {"name": variable.name, "value": self.word(words)}
        if variable.why:
            entry["name"] = Because(entry["name"], variable.why)
        return entry


def _from_field(name: str, path: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


ALONE = Symbols(leader_host="$(POD_IP)", member_host="$(POD_IP)", member_index="0", group_size="1")
"""A group of one pod: it is its own leader."""
