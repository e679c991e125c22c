"""config.json from the Hugging Face hub or a mirror of it, and the same port from memory.

huggingface_hub does the work, so HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE, HF_HOME and proxies mean
what they mean everywhere. Used by the shells when a model id does not ship with us.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from shardwright.facts import models
from shardwright.facts.aliases import nearest
from shardwright.model.errors import ShardwrightError, usage_error

FILE = "config.json"
QUANTIZATION_FILE = "hf_quant_config.json"
"""Where NVIDIA ModelOpt wrote the quantization before it moved into config.json."""

TIMEOUT_S = 10.0
CONNECT_S = 3.0
HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """The real source. endpoint: a mirror's address; None for HF_ENDPOINT or the hub itself.

    cache_dir: None for huggingface_hub's own (HF_HOME).
    """

    endpoint: str | None = None
    cache_dir: str | None = None

    def config(self, model_id: str, revision: str | None = None) -> Mapping[str, Any]:
        """Return the config.json of a model; see `shardwright.model.configs.ConfigSource`."""
        raw = json.loads(self._download(model_id, FILE, revision).read_text(encoding="utf-8"))
        if not isinstance(raw, dict):
            raise usage_error(
                "config-not-json",
                f"config.json of {model_id} holds no JSON object",
                remedy="check the model's id and revision, or set spec.model.configFile",
            )
        if "quantization_config" not in raw and "quantization_config" not in (
            raw.get("text_config") or {}
        ):
            raw.update(self._quantization(model_id, revision))
        return raw

    def _quantization(self, model_id: str, revision: str | None) -> dict[str, Any]:
        from huggingface_hub.errors import EntryNotFoundError

        try:
            path = self._download(model_id, QUANTIZATION_FILE, revision)
        except ShardwrightError as error:
            if isinstance(error.__cause__, EntryNotFoundError):
                return {}
            raise
        said = json.loads(path.read_text(encoding="utf-8")).get("quantization") or {}
        return {"quantization_config": {"quant_method": "modelopt", **said}}

    def _download(self, model_id: str, name: str, revision: str | None) -> Path:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import (
            EntryNotFoundError,
            GatedRepoError,
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
            OfflineModeIsEnabled,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        endpoint = self.endpoint or os.environ.get("HF_ENDPOINT")
        where = endpoint or "the Hugging Face hub"
        try:
            return Path(
                hf_hub_download(
                    model_id, name, revision=revision, etag_timeout=TIMEOUT_S,
                    endpoint=endpoint, cache_dir=self.cache_dir,
                    local_files_only=not _answers(endpoint or HUB),
                )
            )  # fmt: skip
        except GatedRepoError as error:
            raise _gated(model_id, where) from error
        except RevisionNotFoundError as error:
            raise usage_error(
                "revision-not-found", f"{model_id} has no revision {revision!r} on {where}",
                remedy="set spec.model.revision to a branch, tag or commit of the model",
            ) from error  # fmt: skip
        except RepositoryNotFoundError as error:
            raise _unknown(model_id, where) from error
        except (OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
            raise _unreachable(model_id, where) from error
        except EntryNotFoundError as error:
            raise usage_error(
                "config-missing", f"{model_id} has no {name} on {where}",
                remedy="give the path of a config.json (spec.model.configFile)",
            ) from error  # fmt: skip
        except HFValidationError as error:
            raise usage_error(
                "model-id", f"{model_id!r} is no model id: {error}",
                remedy="write it as organisation/name, or give spec.model.configFile",
            ) from error  # fmt: skip
        except (HfHubHTTPError, OSError) as error:
            raise _unreachable(model_id, where) from error


def _answers(endpoint: str) -> bool:
    """Whether a connection can be made; True where a proxy stands between.

    huggingface_hub tries an address that refuses for 20 s and more; what it has cached needs none.
    """
    if os.environ.get("HF_HUB_OFFLINE", "0").lower() in {"1", "true", "yes", "on"}:
        return False
    parts = urlsplit(endpoint)
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY")):
        return True
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=CONNECT_S).close()
    except OSError:
        return False
    return True


def _gated(model_id: str, where: str) -> ShardwrightError:
    return ShardwrightError(
        code="model-gated",
        what=f"{model_id} on {where} asks for its licence to be accepted first",
        cause="no token was sent, or its owner has not been granted access",
        remedy="accept the licence on the model's page and export HF_TOKEN, "
        "or give the path of its config.json (spec.model.configFile)",
    )


def _unknown(model_id: str, where: str) -> ShardwrightError:
    near = nearest(model_id, models.index())
    hint = f"did you mean {', '.join(near)}? " if near else ""
    return usage_error(
        "model-not-found",
        f"there is no model {model_id} on {where}, or it is private and no token was sent",
        remedy=f"{hint}For a private model export HF_TOKEN",
    )


def _unreachable(model_id: str, where: str) -> ShardwrightError:
    near = nearest(model_id, models.index())
    hint = f", or use one that ships with us: {', '.join(near)}" if near else ""
    return usage_error(
        "hub-unreachable",
        f"{model_id} does not ship with shardwright, and {where} cannot be reached",
        cause="offline, no proxy set, or HF_HUB_OFFLINE=1",
        remedy=f"give the path of its config.json (spec.model.configFile){hint}",
    )


@dataclass(slots=True)
class MemoryHub:
    """The same port for tests: models it was given, and nothing else."""

    models: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def config(self, model_id: str, revision: str | None = None) -> Mapping[str, Any]:
        """Return what it was given; an unknown model is the same error as the hub's."""
        del revision
        if model_id not in self.models:
            raise _unknown(model_id, "the hub in memory")
        return self.models[model_id]
