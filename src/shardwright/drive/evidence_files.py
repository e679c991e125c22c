"""Opens what an operator hands the doctor, as streams, and packs what she hands on."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from shardwright.diagnose.evidence import Document
from shardwright.diagnose.scanning import CHUNK_BYTES
from shardwright.model.errors import usage_error

STDIN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What there is to read. unread: files that may not be read, and why."""

    documents: tuple[Document, ...]
    unread: tuple[str, ...] = ()


def evidence_documents(paths: Iterable[str]) -> Found:
    """Find files, every file below folders, and stdin (`-`), to be read as streams.

    A file is called as it stands in its folder, or by its whole path where two are called alike.
    Raises ShardwrightError for a path at which there is no file.
    """
    files = [(name, file) for path in dict.fromkeys(paths) for name, file in _files(path)]
    alike = Counter(name for name, _ in files)
    documents, unread = [], []
    for name, file in dict.fromkeys(files):
        shown = name if alike[name] == 1 or file is None else str(file)
        try:
            documents.append(_document(shown, file))
        except OSError as error:
            unread.append(f"{shown}: {error.strerror}")
    return Found(documents=tuple(documents), unread=tuple(unread))


def _files(path: str) -> list[tuple[str, Path | None]]:
    """Name what is at a path; no file stands for stdin."""
    if path == STDIN:
        return [("stdin", None)]
    root = Path(path)
    try:
        if root.is_file():
            return [(root.name, root)]
        found = sorted(each for each in root.rglob("*") if each.is_file())
    except OSError as error:
        raise usage_error(
            "evidence-not-readable", f"{path} cannot be looked at: {error.strerror}",
            remedy="check its permissions",
        ) from error  # fmt: skip
    if not found:
        raise usage_error(
            "evidence-not-found", f"{path} is neither a file nor a folder with files",
            remedy="pass a log file, a directory of logs, or - for stdin",
        )  # fmt: skip
    return [(str(each.relative_to(root)), each) for each in found]


def pack(files: Mapping[str, str], target: Path) -> int:
    """Write the texts into one .tar.gz, the same bytes for the same texts; return its size."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for name in sorted(files):
            content = files[name].encode()
            entry = tarfile.TarInfo(_inside(name))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    target.write_bytes(packed.getvalue())
    return len(packed.getvalue())


def _inside(name: str) -> str:
    """Name a file below the folder that an archive is unpacked in.

    >>> _inside("/var/log/vllm.log"), _inside("../logs/vllm.log")
    ('var/log/vllm.log', 'logs/vllm.log')
    """
    return "/".join(part for part in PurePosixPath(name).parts if part not in ("/", ".."))


def _document(name: str, file: Path | None) -> Document:
    if file is None:
        return Document(name=name, chunks=_chunks(sys.stdin.buffer))
    file.open("rb").close()  # so that one that may not be read is known before any is
    return Document(name=name, chunks=_file_chunks(file), num_bytes=file.stat().st_size)


def _file_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from _chunks(stream)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        # to the end of its line, so that nothing has to be carried over and copied
        yield chunk if chunk.endswith(b"\n") else chunk + stream.readline(CHUNK_BYTES)
