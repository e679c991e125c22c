"""What an OpenAI-compatible endpoint says of itself."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

from shardwright.model.errors import ShardwrightError

TIMEOUT_S = 10


def served_models(url: str, api_key: str | None) -> tuple[str, ...]:
    """Return the models that are served, at least one. Raises ShardwrightError for no answer."""
    request = urllib.request.Request(f"{url.rstrip('/')}/v1/models")  # noqa: S310  (checked below)
    if request.type not in ("http", "https"):
        raise _unreachable(url, "only http and https can be loaded")
    if api_key:
        request.add_header("Authorization", f"Bearer {api_key}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            models = tuple(str(each["id"]) for each in json.load(answer)["data"])
    except urllib.error.HTTPError as error:
        hint = "pass --api-key-env" if error.code in (401, 403) else "is it an OpenAI endpoint?"
        raise _unreachable(url, f"it answers {error.code}; {hint}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", error)  # urllib wraps what the network said
        why = reason.strerror if isinstance(reason, OSError) else str(reason)
        raise _unreachable(url, why or str(reason)) from error
    if not models:
        raise _unreachable(url, "it names no model")
    return models


def engine_version(url: str) -> str:
    """Return the version that vLLM tells at /version; empty where it does not."""
    try:
        address = f"{url.rstrip('/')}/version"
        with urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return f"vLLM {json.load(answer)['version']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _unreachable(url: str, why: str) -> ShardwrightError:
    return ShardwrightError(
        code="endpoint-unreachable",
        what=f"{url}/v1/models cannot be read: {why}",
        remedy="check the address; with kubectl: kubectl port-forward service/NAME 8000",
    )
