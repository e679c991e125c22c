"""Download a model into a directory, and check every file before anyone may serve it.

Runs in the engine's image, which has huggingface_hub. An interrupted download goes on where it
stopped. Weights in formats that run code when they are read are left out, and so are second copies.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

LEFT_OUT = ("original/*", "metal/*", "*.pth", "*.pt", "*.bin", "*.gguf", "*.onnx", "*.msgpack",
            "*.h5", "consolidated*")  # fmt: skip
BLOCK = 2**22


def wanted(names: Iterable[str]) -> list[str]:
    """Choose the files to serve from; there must be safetensors among them."""
    kept = [name for name in names if not any(fnmatch(name, pattern) for pattern in LEFT_OUT)]
    if not any(name.endswith(".safetensors") for name in kept):
        sys.exit("download: the repository has no safetensors, and other formats can run code")
    return kept


def fault(path: Path, size: int | None, sha256: str | None) -> str | None:
    """Say what is wrong with a file: missing, another size, another content."""
    if not path.is_file():
        return "is missing"
    if size is not None and path.stat().st_size != size:
        return f"has {path.stat().st_size} bytes of {size}"
    if sha256 is None:
        return None
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return None if digest.hexdigest() == sha256 else "has other content than was published"


def check(folder: Path, files: Iterable[Any]) -> None:
    """Check all files; a wrong one is deleted, so that the next try fetches it again."""
    wrong = []
    for each in files:
        lfs = each.lfs
        sha256 = getattr(lfs, "sha256", None) or (lfs or {}).get("sha256") if lfs else None
        problem = fault(folder / each.rfilename, each.size, sha256)
        if problem:
            wrong.append(f"{each.rfilename} {problem}")
            (folder / each.rfilename).unlink(missing_ok=True)
    if wrong:
        sys.exit("download: " + "; ".join(wrong))


def main() -> None:
    """Download, then check."""
    from huggingface_hub import HfApi, snapshot_download

    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--revision")
    parser.add_argument("--local-dir", type=Path, required=True)
    options = parser.parse_args()
    info = HfApi().model_info(options.model, revision=options.revision, files_metadata=True)
    names = set(wanted(each.rfilename for each in info.siblings or ()))
    snapshot_download(
        options.model,
        revision=info.sha,
        local_dir=str(options.local_dir),
        allow_patterns=sorted(names),
    )
    check(options.local_dir, [each for each in info.siblings or () if each.rfilename in names])
    print(f"download: {len(names)} files of {info.sha} are whole", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
