"""Any frozen value as plain JSON data, for `-o json`: the same dataclass the text comes from."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any


def plain(value: Any) -> Any:
    """Turn dataclasses, enums and tuples into dicts, strings and lists; keys are field names.

    >>> from shardwright.model.errors import Place
    >>> plain((Place(file="a.yaml", line=3),))
    [{'file': 'a.yaml', 'line': 3, 'column': None}]
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return value
