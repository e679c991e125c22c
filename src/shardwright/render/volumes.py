"""Volumes of a pod and where its container mounts them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from shardwright.model.units import format_quantity
from shardwright.model.volumes import Mount, VolumeKind
from shardwright.render.emit import Because, Object


def volumes(mounts: Iterable[Mount]) -> list[Object]:
    """Write the volumes behind mounts, each once; read-only if all that is seen of it is."""
    by_name: dict[str, list[Mount]] = {}
    for mount in mounts:
        by_name.setdefault(mount.volume, []).append(mount)
    return [
        volume(replace(same[0], is_read_only=all(each.is_read_only for each in same)))
        for same in by_name.values()
    ]


def volume(mount: Mount) -> Object:
    """Write the volume behind a mount."""
    return {"name": mount.volume, **_source(mount)}


def _source(mount: Mount) -> Object:
    size = {} if mount.size_bytes is None else {"sizeLimit": format_quantity(mount.size_bytes)}
    match mount.kind:
        case VolumeKind.CLAIM:
            claim: Object = {"claimName": mount.source}
            if mount.is_read_only:
                claim["readOnly"] = True
            return {"persistentVolumeClaim": claim}
        case VolumeKind.IMAGE:
            return {"image": {"reference": mount.source, "pullPolicy": "IfNotPresent"}}
        case VolumeKind.SHARED_MEMORY:
            why = "the default of 64 MiB is too small for NCCL and the queues between ranks"
            return {"emptyDir": Because({"medium": "Memory", **size}, why)}
        case VolumeKind.SCRATCH:
            return {"emptyDir": size}
        case VolumeKind.SECRET:
            secret: Object = {"secretName": mount.source, "defaultMode": 0o440}
            if mount.keys:
                secret["items"] = Because(
                    [{"key": key, "path": key} for key in mount.keys], "the pod waits for them"
                )
            return {"secret": secret}
        case VolumeKind.CONFIG:
            return {"configMap": {"name": mount.source, "defaultMode": 0o555}}
        case VolumeKind.HOST_PATH:
            return {"hostPath": {"path": mount.source, "type": "DirectoryOrCreate"}}


def volume_mount(mount: Mount) -> Object:
    """Write where the container sees it."""
    out: Object = {"name": mount.volume, "mountPath": mount.path}
    if mount.sub_path:
        out["subPath"] = mount.sub_path
    if mount.is_read_only:
        out["readOnly"] = True
    return out
