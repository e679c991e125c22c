"""Opens what an operator hands the doctor, as streams, and packs what she hands on."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from shardwright.diagnose.evidence import Document
from shardwright.diagnose.scanning import CHUNK_BYTES


def evidence_documents(path: str) -> list[Document]:
    """Open a file, every file below a directory, or stdin (`-`); none if there is nothing."""
    if path == "-":
        return [Document(name="stdin", chunks=_chunks(sys.stdin.buffer))]
    root = Path(path)
    if root.is_file():
        return [_document(root.name, root)]
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return [_document(str(path.relative_to(root)), path) for path in files]


def pack(files: Mapping[str, str], target: Path) -> int:
    """Write the texts into one .tar.gz, the same bytes for the same texts; return its size."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for name in sorted(files):
            content = files[name].encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    target.write_bytes(packed.getvalue())
    return len(packed.getvalue())


def _document(name: str, path: Path) -> Document:
    return Document(name=name, chunks=_file_chunks(path), num_bytes=path.stat().st_size)


def _file_chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from _chunks(stream)


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        # to the end of its line, so that nothing has to be carried over and copied
        yield chunk if chunk.endswith(b"\n") else chunk + stream.readline(CHUNK_BYTES)
