"""Writes a small model as a checkpoint folder: config, tokenizer, safetensors. Made whole or not.

Used by the rehearsal before the engine starts. The folder's name is the caller's; its bytes depend
on the model and the seed only.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import shutil
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shardwright.rehearse import tokenizer, weights
from shardwright.rehearse.shrink import SmallModel
from shardwright.rehearse.weights import tensors, values

_RECIPE = (tokenizer, weights)
"""Modules that decide the bytes beside the config."""

FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")


def fingerprint(model: SmallModel, seed: int = 0) -> str:
    """Name a model by what its bytes come from: config, seed and the code that fills it."""
    digest = hashlib.sha256(json.dumps([dict(model.config), seed], sort_keys=True).encode())
    for module in _RECIPE:
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()[:12]


def write_checkpoint(model: SmallModel, folder: Path, seed: int = 0) -> int:
    """Write the folder, or leave it as it is if all its files are there; return its bytes.

    It is filled beside its place and moved there in one step, so half a folder is never seen.
    """
    if not all((folder / name).is_file() for name in FILES):
        folder.parent.mkdir(parents=True, exist_ok=True)
        filling = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            _fill(model, filling, seed)
            shutil.rmtree(folder, ignore_errors=True)
            filling.rename(folder)
        finally:
            shutil.rmtree(filling, ignore_errors=True)
    return sum((folder / name).stat().st_size for name in FILES)


def _fill(model: SmallModel, folder: Path, seed: int) -> None:
    # null has a meaning for most fields (no q_lora_rank), but not for quantization
    config = {k: v for k, v in model.config.items() if v is not None or "config" not in k}
    _write_json(folder / "config.json", config)
    for name, value in tokenizer.files(model.shape.max_position_embeddings).items():
        _write_json(folder / name, value)
    _write_safetensors(folder / "model.safetensors", model, seed)
    folder.chmod(0o755)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_safetensors(path: Path, model: SmallModel, seed: int) -> None:
    """Write the format of the safetensors library: header length, JSON header, little-endian data.

    Source: github.com/huggingface/safetensors, "Format". The header is padded to 8 bytes.
    """
    stored = tuple(tensors(model.shape))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in stored:
        start, end = end, end + tensor.num_bytes
        header[tensor.name] = {
            "dtype": "BF16",
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for tensor in stored:
            file.write(values(tensor, seed).astype("<u2").tobytes())
