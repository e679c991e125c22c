"""Claims: which pods use them, and whether several nodes may."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.bundle import Bundle
from shardwright.lint.objects import KubeObject
from shardwright.lint.reading import dig, mapping, mappings, sequence, text
from shardwright.lint.workload.kinds import Workload
from shardwright.lint.workload.pod import Pod


def claims_of(pod: Pod) -> Iterator[str]:
    """Yield the names of the claims a pod template mounts."""
    for volume in pod.volumes.values():
        if volume.claim:
            yield volume.claim


def find_claim(bundle: Bundle, workload: Workload, name: str) -> KubeObject | None:
    """Find a PersistentVolumeClaim object; one without a namespace may be applied into any."""
    if not workload.namespace:
        return next(iter(bundle.claims_by_name.get(name, ())), None)
    return bundle.claims.get((workload.namespace, name)) or bundle.claims.get(("", name))


def access_modes(bundle: Bundle, workload: Workload, name: str) -> frozenset[str]:
    """Return a claim's access modes; empty if the claim is not in the bundle."""
    obj = find_claim(bundle, workload, name)
    modes = sequence(dig(obj.data, "spec", "accessModes")) if obj else []
    return frozenset(text(mode) for mode in modes)


def template_names(workload: Workload) -> frozenset[str]:
    """Name the claims each pod gets for itself (volumeClaimTemplates)."""
    templates = workload.spec.get("volumeClaimTemplates")
    return frozenset(
        text(mapping(item.get("metadata")).get("name")) for _, item in mappings(templates)
    )
