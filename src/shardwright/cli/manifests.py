"""Which files `lint` reads: files, folders, kustomizations and standard input."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from shardwright.lint.documents import read_documents
from shardwright.lint.objects import SourceFile
from shardwright.lint.reading import dig, sequence
from shardwright.model.errors import ShardwrightError, usage_error

MAX_BYTES = 32 * 2**20
"""A manifest beyond this is no manifest."""
_SUFFIXES = frozenset({".yaml", ".yml", ".json"})
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_NEVER = frozenset({"node_modules", "__pycache__", "venv"})


@dataclass(slots=True)
class Manifests:
    """What was found. notes: what was passed over and why."""

    sources: list[SourceFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seen: set[Path] = field(default_factory=set)


def read_manifests(arguments: tuple[str, ...]) -> Manifests:
    """Read every manifest the arguments name; `-` is standard input."""
    found = Manifests()
    for argument in arguments:
        if argument == "-":
            text = sys.stdin.buffer.read(MAX_BYTES + 1).decode("utf-8", "surrogateescape")
            found.sources.append(SourceFile(name="<stdin>", text=text))
            continue
        path = Path(argument)
        try:
            is_there = path.exists()
        except OSError as error:  # a folder above it may not be entered
            raise _unreadable(path, error) from error
        if not is_there:
            raise usage_error(
                "file-not-found",
                f"there is no file or folder {argument!r}",
                remedy="name a manifest, a folder of manifests, or - for standard input",
            )
        if path.is_dir():
            _read_folder(path, found)
        else:
            _read_file(path, found)
    return found


def _read_file(path: Path, found: Manifests) -> None:
    resolved = path.resolve()
    if resolved in found.seen:
        return
    found.seen.add(resolved)
    try:
        if path.stat().st_size > MAX_BYTES:
            found.notes.append(f"{path}: over {MAX_BYTES // 2**20} MiB, not read")
            return
        # undecodable bytes become lone surrogates, which the YAML reader reports with the file
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise _unreadable(path, error) from error
    found.sources.append(SourceFile(name=str(path), text=text))


def _unreadable(path: Path, error: OSError) -> ShardwrightError:
    return usage_error(
        "file-not-readable",
        f"{path} cannot be read",
        cause=error.strerror,
        remedy="check its permissions",
    )


def _read_folder(folder: Path, found: Manifests) -> None:
    if any((folder / name).is_file() for name in _KUSTOMIZATIONS):
        _read_kustomization(folder, found)
        return
    if (folder / "Chart.yaml").is_file():
        found.notes.append(f"{folder}: a Helm chart; lint the output of `helm template` instead")
        return
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise _unreadable(folder, error) from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _NEVER:
            continue
        if entry.is_dir() and not entry.is_symlink():
            _read_folder(entry, found)
        elif entry.suffix in _SUFFIXES and entry.is_file():
            _read_file(entry, found)


def _read_kustomization(folder: Path, found: Manifests) -> None:
    """Read the resources a kustomization lists, and those of its bases; patches are not applied."""
    resolved = folder.resolve()
    if resolved in found.seen:
        return
    found.seen.add(resolved)
    path = next(folder / name for name in _KUSTOMIZATIONS if (folder / name).is_file())
    try:
        documents, _ = read_documents(path.read_bytes().decode("utf-8", "surrogateescape"))
    except OSError as error:
        raise _unreadable(path, error) from error
    value = documents[0].value if documents else None
    for key in ("resources", "bases", "components"):
        for item in sequence(dig(value, key)):
            entry = folder / str(item)
            if "://" in str(item) or "?ref=" in str(item):
                found.notes.append(f"{path}: remote resource {item} not read")
            elif entry.is_dir():
                _read_folder(entry, found)
            elif entry.is_file():
                _read_file(entry, found)
            else:
                found.notes.append(f"{path}: resource {item} does not exist")
    if any(dig(value, key) for key in ("patches", "patchesStrategicMerge", "patchesJson6902")):
        found.notes.append(f"{path}: patches are not applied; pipe `kustomize build` to lint -")
