"""What members and tasks mount: claims, images, files, memory, and where they see it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class VolumeKind(Enum):
    """What stands behind a mount."""

    CLAIM = "claim"
    IMAGE = "image"
    SHARED_MEMORY = "shared-memory"
    SCRATCH = "scratch"
    SECRET = "secret"  # noqa: S105  (a kind of volume)
    CONFIG = "config"
    HOST_PATH = "host-path"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A volume at a path. source: name of the claim, secret or config; an image's reference; the
    path on the host.

    keys: those of a secret that must be there; none for all it has. A pod waits for those named.
    sub_path: the folder of the volume that is seen; mounts of one volume name share the volume.
    """

    volume: str
    kind: VolumeKind
    path: str
    source: str | None = None
    is_read_only: bool = False
    size_bytes: int | None = None
    keys: tuple[str, ...] = ()
    sub_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A persistent volume claim. is_ours: created with the endpoint, kept when it is deleted."""

    name: str
    is_ours: bool
    access_mode: str
    size_bytes: int
    storage_class: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFiles:
    """Small text files by name, mounted as a volume of kind CONFIG whose source is this name."""

    name: str
    files: tuple[tuple[str, str], ...]
