"""A published config.json as typed fields: names differ by family, so several are tried in turn.

Used by the builders of this room only; nothing outside sees the raw mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shardwright.model.errors import usage_error


@dataclass(frozen=True, slots=True)
class Fields:
    """A config.json, or its text part. outer: the whole file where this is a part of it."""

    raw: Mapping[str, Any]
    model_type: str
    outer: Mapping[str, Any]

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self.raw.get(name) is not None

    def get(self, *names: str) -> Any:
        """Return the first field present and not null, or None."""
        for name in names:
            value = self.raw.get(name)
            if value is not None:
                return value
        return None

    def num(self, *names: str, default: int | None = None) -> int:
        """Return the first whole number present; an error names the field if there is none.

        >>> Fields({"n_embd": 768}, "gpt2", {}).num("hidden_size", "n_embd")
        768
        """
        value = self.get(*names)
        if isinstance(value, list) and value and all(v == value[0] for v in value):
            value = value[0]
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or int(value) != value:
            found = "is missing" if value is None else f"is {value!r}, not a whole number"
            raise usage_error(
                "config-field",
                f"config.json of model_type {self.model_type!r}: {names[0]} {found}",
                remedy=f"give the published config.json, with {' or '.join(names)}",
            )
        return int(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a truth value, or the default where it is absent or null."""
        value = self.raw.get(name)
        return default if value is None else bool(value)

    def sequence(self, *names: str) -> list[Any] | None:
        """Return the first field that is a list, or None."""
        for name in names:
            value = self.raw.get(name)
            if isinstance(value, list):
                return value
        return None

    def part(self, name: str) -> Fields | None:
        """Return a nested part of the file, such as vision_config, or None."""
        value = self.raw.get(name)
        if not isinstance(value, Mapping):
            return None
        return Fields(value, str(value.get("model_type", name)), self.raw)
