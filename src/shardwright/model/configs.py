"""The port a model's published config.json comes through when it does not ship with us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class ConfigSource(Protocol):
    """Where config.json files come from: the Hugging Face hub, a mirror, or memory in tests."""

    def config(self, model_id: str, revision: str | None = None) -> Mapping[str, Any]:
        """Return the config.json of a model.

        quantization_config is filled from hf_quant_config.json where only that file has it. Raises
        ShardwrightError with what to do where the model is unknown, gated or out of reach.
        """
        ...
