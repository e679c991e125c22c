"""Download a model into a directory, and check every file before anyone may serve it.

From the hub by huggingface_hub, which every engine's image has, or from a bucket by boto3, which
vLLM's has. An interrupted download goes on where it stopped. Weights in formats that run code when
they are read are left out, and so are second copies. It says on the way how far it is and how fast.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

LEFT_OUT = ("original/*", "metal/*", "*.pth", "*.pt", "*.bin", "*.gguf", "*.onnx", "*.msgpack",
            "*.h5", "consolidated*")  # fmt: skip
BLOCK = 2**22
AT_ONCE = 8
TRIES = 5
SAY_EVERY_S = 10


def wanted(names: Iterable[str]) -> list[str]:
    """Choose the files to serve from; there must be safetensors among them."""
    kept = [name for name in names if not any(fnmatch(name, pattern) for pattern in LEFT_OUT)]
    if not any(name.endswith(".safetensors") for name in kept):
        sys.exit("download: the repository has no safetensors, and other formats can run code")
    return kept


def say(words: str) -> None:
    """Write a line of the log at once."""
    print(f"download: {words}", flush=True)  # noqa: T201


class Pace:
    """How much is done of a total, and how fast it went since it was last said.

    GB is 10^9 bytes, MB 10^6.

    >>> Pace(437_000_000_000, 9_780_000_000, 100.0).line(12_880_000_000, 110.0)
    '12.9 of 437.0 GB, 310.0 MB/s'
    """

    def __init__(self, total: int, done: int, at_s: float) -> None:
        self.total = total
        self.last = done, at_s

    def line(self, done: int, at_s: float) -> str:
        """Write it for a moment."""
        before, then = self.last
        self.last = done, at_s
        rate = max(done - before, 0) / max(at_s - then, 1e-6)
        unit, scale = ("GB", 1e9) if self.total >= 1e9 else ("MB", 1e6)
        shown = min(done, self.total) / scale
        return f"{shown:.1f} of {self.total / scale:.1f} {unit}, {rate / 1e6:,.1f} MB/s"


def held(folder: Path) -> int:
    """Count the bytes below a folder, those of unfinished files too."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # finished, and renamed, since it was named
            continue
    return total


@contextmanager
def telling(total: int, done: Callable[[], int], what: str = "") -> Iterator[None]:
    """Say every few seconds how much is done, and how fast it went since the last time."""
    ended = threading.Event()

    def tell() -> None:
        pace = Pace(total, done(), time.monotonic())
        while not ended.wait(SAY_EVERY_S):
            say(what + pace.line(done(), time.monotonic()))

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def fault(
    path: Path, size: int | None, sha256: str | None, read: Callable[[int], None] = lambda _: None
) -> str | None:
    """Say what is wrong with a file: missing, another size, another content.

    read: is told of the bytes of every block that was read.
    """
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
            read(len(block))
    return None if digest.hexdigest() == sha256 else "has other content than was published"


def check(folder: Path, files: Iterable[Any]) -> None:
    """Check all files; a wrong one is deleted, so that the next try fetches it again."""
    files, wrong, read = list(files), [], [0]
    with telling(sum(each.size or 0 for each in files), lambda: sum(read), "checked "):
        for each in files:
            lfs = each.lfs
            sha256 = getattr(lfs, "sha256", None) or (lfs or {}).get("sha256") if lfs else None
            problem = fault(folder / each.rfilename, each.size, sha256, read.append)
            if problem:
                wrong.append(f"{each.rfilename} {problem}")
                (folder / each.rfilename).unlink(missing_ok=True)
    if wrong:
        sys.exit("download: " + "; ".join(wrong))


def from_hub(model: str, revision: str | None, folder: Path) -> str:
    """Download from the hub, or its mirror; say what was."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # lines of a log, not of a terminal
    from huggingface_hub import HfApi, snapshot_download

    info = HfApi().model_info(model, revision=revision, files_metadata=True)
    names = set(wanted(each.rfilename for each in info.siblings or ()))
    files = [each for each in info.siblings or () if each.rfilename in names]
    with telling(sum(each.size or 0 for each in files), lambda: held(folder)):
        snapshot_download(
            model, revision=info.sha, local_dir=str(folder), allow_patterns=sorted(names)
        )
    check(folder, files)
    return f"{len(names)} files of {info.sha}"


def from_bucket(source: str, folder: Path) -> str:
    """Download what is under a prefix of a bucket; say what was."""
    try:
        import boto3  # type: ignore[import-not-found, unused-ignore]
        from botocore import exceptions  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        sys.exit("download: this image has no boto3: name one that has in spec.images.download")
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    prefix = f"{prefix.rstrip('/')}/" if prefix else ""
    client = boto3.client("s3")

    def fetched(name: str) -> str | None:
        remote = Remote(client, exceptions.BotoCoreError, bucket, prefix + name)
        return remote.fetch(folder / name)

    try:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        sizes = {each["Key"][len(prefix) :]: each["Size"]
                 for page in pages for each in page.get("Contents", ())}  # fmt: skip
        names = wanted(name for name in sizes if not name.endswith("/"))
        total = sum(sizes[name] for name in names)
        with telling(total, lambda: held(folder)), ThreadPoolExecutor(AT_ONCE) as pool:
            wrong = [problem for problem in pool.map(fetched, names) if problem]
    except (exceptions.BotoCoreError, exceptions.ClientError) as error:
        sys.exit(f"download: {source}: {error}")
    if wrong:
        sys.exit("download: " + "; ".join(wrong))
    return f"{len(names)} files of {source}"


class Remote:
    """One file in a bucket, as it was when first asked about. broken: what a lost line raises."""

    def __init__(self, client: Any, broken: type[Exception], bucket: str, key: str) -> None:
        self.client = client
        self.broken = broken
        self.at = {"Bucket": bucket, "Key": key}
        self.head = client.head_object(**self.at, ChecksumMode="ENABLED")
        self.size: int = self.head["ContentLength"]
        self.tag = str(self.head["ETag"]).strip('"')

    def fetch(self, path: Path) -> str | None:
        """Bring the file to a path unless it is there; say what is wrong with it."""
        if path.is_file() and path.stat().st_size == self.size and self._is_same(path):
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{self.tag}.part")
        self._append(part)
        problem = fault(part, self.size, None)
        if problem is None and not self._is_same(part):
            problem = "has other content than was published"
        if problem:
            part.unlink(missing_ok=True)
            return f"{path.name} {problem}"
        part.replace(path)
        return None

    def _append(self, part: Path) -> None:
        """Go on from what an earlier try left; the bucket must still hold the same version."""
        part.touch()
        for left in reversed(range(TRIES)):
            have = part.stat().st_size
            if have >= self.size:
                return
            try:
                answer = self.client.get_object(
                    **self.at, IfMatch=self.head["ETag"], Range=f"bytes={have}-"
                )
                with part.open("ab") as file:
                    for block in answer["Body"].iter_chunks(BLOCK):
                        file.write(block)
            except self.broken:
                if not left:
                    raise

    def _is_same(self, path: Path) -> bool:
        """Compare with the strongest digest that the store tells of the whole file, if any."""
        sha256 = self.head.get("ChecksumSHA256")
        if sha256 and self.head.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
            digest = next(_digests(path, "sha256", self.size))
            return base64.b64encode(digest).decode() == str(sha256)
        if str(self.head.get("ServerSideEncryption", "")).startswith("aws:kms"):
            return True  # the tag is no digest then, and size is all that is told
        if "-" not in self.tag:
            return next(_digests(path, "md5", self.size)).hex() == self.tag
        first = self.client.head_object(**self.at, PartNumber=1)
        parts = list(_digests(path, "md5", first["ContentLength"]))
        if len(parts) != first.get("PartsCount", 0):
            return True  # parts of several lengths: their bounds are not told
        whole = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
        return f"{whole}-{len(parts)}" == self.tag


def _digests(path: Path, kind: str, length: int) -> Iterator[bytes]:
    """Digest each stretch of a file; one of an empty file."""
    with path.open("rb") as file:
        while True:
            digest, left = hashlib.new(kind, usedforsecurity=False), length
            while left and (block := file.read(min(BLOCK, left))):
                digest.update(block)
                left -= len(block)
            yield digest.digest()
            if not file.peek(1):
                return


def main() -> None:
    """Download, then check."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", help="id on the hub, or s3://bucket/prefix")
    parser.add_argument("--revision")
    parser.add_argument("--local-dir", type=Path, required=True)
    options = parser.parse_args()
    try:
        if options.model.startswith("s3://"):
            done = from_bucket(options.model, options.local_dir)
        else:
            done = from_hub(options.model, options.revision, options.local_dir)
    except PermissionError as error:
        who = f"user {os.getuid()} of group {os.getgid()}"
        sys.exit(
            f"download: {who} may not write {error.filename}: use a volume whose driver honours"
            " fsGroup, or make the folder writable to that group"
        )
    say(f"{done} are whole")


if __name__ == "__main__":
    main()
