"""Container images written as OCI archives, without Docker and without a registry.

An image here is one uncompressed layer: files of this host's installed Debian packages, or static
binaries. `ctr images import` takes the archive.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from testbed.shell import run, succeeds

_EPOCH = 0
"""Every file carries the same time, so that the same content is the same image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What an image holds and how its containers start."""

    name: str
    files: Mapping[str, Path] = field(default_factory=dict)
    """Path in the image -> file or symbolic link on this host; parents are made."""
    directories: tuple[str, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    """Path in the image -> target of a symbolic link."""
    entrypoint: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""


def write_archive(image: Image, target: Path) -> None:
    """Write an OCI archive; the same content gives the same bytes."""
    layer = target.with_suffix(".layer")
    _write_layer(image, layer)
    with layer.open("rb") as stream:
        layer_digest = hashlib.file_digest(stream, "sha256").hexdigest()
    config = _encode(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Entrypoint": list(image.entrypoint),
                "Env": [f"{key}={value}" for key, value in sorted(image.env.items())],
                "User": image.user,
            },
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        }
    )
    manifest = _encode(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": f"sha256:{layer_digest}",
                    "size": layer.stat().st_size,
                }
            ],
        }
    )
    index = {
        "schemaVersion": 2,
        "manifests": [
            {
                **_descriptor("application/vnd.oci.image.manifest.v1+json", manifest),
                "annotations": {"io.containerd.image.name": image.name},
            }
        ],
    }
    partial = target.with_suffix(".partial")
    with tarfile.open(partial, "w") as archive:
        _add_bytes(archive, "oci-layout", _encode({"imageLayoutVersion": "1.0.0"}))
        _add_bytes(archive, "index.json", _encode(index))
        for blob in (config, manifest):
            _add_bytes(archive, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)
        info = tarfile.TarInfo(f"blobs/sha256/{layer_digest}")
        info.size = layer.stat().st_size
        with layer.open("rb") as stream:
            archive.addfile(info, stream)
    layer.unlink()
    partial.rename(target)


def _encode(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    digest = hashlib.sha256(blob).hexdigest()
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(blob)}


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def _write_layer(image: Image, target: Path) -> None:
    made: set[str] = set()
    with tarfile.open(target, "w") as layer:
        for name in image.directories:
            _add_directories(layer, name, made, mode=0o1777 if name == "/tmp" else 0o755)  # noqa: S108
        for name, link in sorted(image.links.items()):
            _add_directories(layer, str(Path(name).parent), made)
            info = tarfile.TarInfo(name.lstrip("/"))
            info.type, info.linkname = tarfile.SYMTYPE, link
            layer.addfile(info)
        for name, source in sorted(image.files.items()):
            _add_directories(layer, str(Path(name).parent), made)
            info = layer.gettarinfo(str(source), arcname=name.lstrip("/"))
            info.mtime, info.uname, info.gname, info.uid, info.gid = _EPOCH, "", "", 0, 0
            if info.type == tarfile.LNKTYPE:  # one file under two names: store it twice
                info.type, info.size = tarfile.REGTYPE, source.stat().st_size
            if info.isreg():
                with source.open("rb") as stream:
                    layer.addfile(info, stream)
            else:
                layer.addfile(info)


def _add_directories(
    layer: tarfile.TarFile, name: str, made: set[str], *, mode: int = 0o755
) -> None:
    parts = [part for part in name.split("/") if part]
    for depth in range(1, len(parts) + 1):
        path = "/".join(parts[:depth])
        if path not in made:
            made.add(path)
            info = tarfile.TarInfo(path)
            info.type, info.mode = tarfile.DIRTYPE, mode if depth == len(parts) else 0o755
            layer.addfile(info)


def package_files(packages: Iterable[str]) -> dict[str, Path]:
    """Return the files of installed Debian packages and of what they depend on, without manuals.

    Their path in the image is the one behind the host's symbolic links (/bin -> /usr/bin).
    """
    skipped = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/info")
    files: dict[str, Path] = {}
    for line in run("dpkg-query", "-L", *_closure(packages)).splitlines():
        source = Path(line)
        if not line.startswith("/") or line.startswith(skipped):
            continue
        if source.is_symlink() or source.is_file():
            path = os.path.join(os.path.realpath(source.parent), source.name)  # noqa: PTH118
            files[path] = source
    return files


def _closure(packages: Iterable[str]) -> list[str]:
    """Return packages and, transitively, the installed packages that they depend on."""
    lines = run("dpkg-query", "-W", "-f", "${Package}\t${Pre-Depends}, ${Depends}\n").splitlines()
    depends = {}
    for line in lines:
        name, _, text = line.partition("\t")
        words = text.replace("|", ",").split(",")
        depends[name] = [word.split("(")[0].split(":")[0].strip() for word in words]
    wanted, found = list(packages), set()
    while wanted:
        name = wanted.pop()
        if name in depends and name not in found:
            found.add(name)
            wanted += depends[name]
    return sorted(found)


def installed(package: str) -> bool:
    """Tell whether a Debian package is installed."""
    return succeeds("dpkg-query", "-W", package)
