"""Whether the weights have somewhere to go: classes, access modes, sizes, volumes."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.deploy.changes import is_leaving
from shardwright.deploy.checks.scene import Scene, error, not_checked, warning
from shardwright.model.cluster import Object
from shardwright.model.errors import ShardwrightError
from shardwright.model.finding import Finding
from shardwright.model.units import format_quantity, parse_quantity
from shardwright.model.volumes import Claim

DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
STATIC = "kubernetes.io/no-provisioner"
ONE_NODE = frozenset(
    {
        "ebs.csi.aws.com",
        "kubernetes.io/aws-ebs",
        "kubernetes.io/gce-pd",
        "pd.csi.storage.gke.io",
        "disk.csi.azure.com",
        "kubernetes.io/azure-disk",
        "rancher.io/local-path",
        "cinder.csi.openstack.org",
        "csi.vsphere.vmware.com",
    }
)
"""Provisioners of block devices: a file system on them is mounted by one node. Source: each
driver's own documentation of access modes."""
SEVERAL = ("ReadWriteMany", "ReadOnlyMany")


def claims(scene: Scene) -> Iterator[Finding]:
    """Look at every claim: the live one, or what would provide it."""
    for claim in scene.plan.claims:
        try:
            live = scene.cluster.get(scene.ref("v1", "PersistentVolumeClaim", claim.name))
        except ShardwrightError as caught:
            yield not_checked(f"claim {claim.name}", caught)
            continue
        if live is not None and not (claim.is_ours and is_leaving(live)):
            yield from _live(live, claim)
        elif not claim.is_ours:
            yield error(
                "claim-missing",
                f"there is no claim {claim.name} in {scene.plan.namespace}",
                "spec.storage.claim names it",
                "create it, or leave spec.storage.claim out to have one made",
            )
        else:
            try:
                yield from _provided(scene, claim)
            except ShardwrightError as caught:
                yield not_checked("the storage class", caught)


def _live(live: Object, claim: Claim) -> Iterator[Finding]:
    name = live["metadata"]["name"]
    if is_leaving(live):
        yield error(
            "claim-is-leaving",
            f"the claim {name} is being deleted: it goes with the last pod that mounts it",
            "spec.storage.claim names it, so nothing here makes another",
            "make a new claim once it is gone, or leave spec.storage.claim out",
        )
        return
    modes = live["spec"].get("accessModes", [])
    fits = set(modes) & set(SEVERAL) if claim.access_mode in SEVERAL else set(modes)
    if not fits:
        yield error(
            "claim-access-mode",
            f"the claim {name} is {', '.join(modes)}, not {claim.access_mode}",
            "pods on several nodes mount it",
            "use a claim of a storage class that offers ReadWriteMany",
        )
    phase = live.get("status", {}).get("phase")
    if phase == "Lost":
        yield error(
            "claim-lost",
            f"the volume of claim {name} is gone",
            "its PersistentVolume was deleted",
            f"kubectl delete pvc {name}, and deploy again: the weights are fetched anew",
        )
    capacity = parse_quantity(str(live.get("status", {}).get("capacity", {}).get("storage", "")))
    if capacity is not None and capacity < claim.size_bytes:
        yield error(
            "claim-too-small",
            f"the claim {name} holds {format_quantity(capacity)}; "
            f"{format_quantity(claim.size_bytes)} are needed",
            "weights, with a fifth to spare",
            "expand it, or set spec.storage.size if you know better",
        )


def _provided(scene: Scene, claim: Claim) -> Iterator[Finding]:
    classes = scene.cluster.list("storage.k8s.io/v1", "StorageClass")
    names = sorted(each["metadata"]["name"] for each in classes)
    there = f"there are {', '.join(names) or 'none'}"
    if claim.storage_class and claim.storage_class not in names:
        what = f"there is no storage class {claim.storage_class}"
        yield error("storage-class-missing", what, there, "set spec.storage.storageClass")
        return
    chosen = [
        each
        for each in classes
        if (each["metadata"]["name"] == claim.storage_class)
        or (not claim.storage_class and _is_default(each))
    ]
    if not chosen:
        yield error(
            "no-default-storage-class",
            f"nothing will provide the claim {claim.name}",
            f"no class is the default; {there}",
            "set spec.storage.storageClass, or make a claim and set spec.storage.claim",
        )
        return
    provisioner = str(chosen[0].get("provisioner", ""))
    name = chosen[0]["metadata"]["name"]
    if claim.access_mode in SEVERAL and provisioner in ONE_NODE:
        yield error(
            "storage-class-one-node",
            f"storage class {name} cannot provide {claim.access_mode}",
            f"{provisioner} makes block devices, which one node mounts at a time",
            "set spec.storage.storageClass to one of a shared file system",
        )
    if provisioner == STATIC:
        yield from _static(scene, claim, name)


def _is_default(storage_class: Object) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return bool(annotations.get(DEFAULT_CLASS) == "true")


def _static(scene: Scene, claim: Claim, class_name: str) -> Iterator[Finding]:
    """Nothing makes volumes of this class, so one that fits must be waiting."""
    volumes = [
        each
        for each in scene.cluster.list("v1", "PersistentVolume")
        if each["spec"].get("storageClassName") == class_name
        and each.get("status", {}).get("phase") == "Available"
    ]
    sizes = [parse_quantity(str(v["spec"]["capacity"]["storage"])) or 0 for v in volumes]
    fitting = [
        size
        for size, volume in zip(sizes, volumes, strict=True)
        if size >= claim.size_bytes and claim.access_mode in volume["spec"].get("accessModes", [])
    ]
    if not fitting:
        largest = f"the largest free one holds {format_quantity(max(sizes))}" if sizes else "none"
        yield warning(
            "no-volume-fits",
            f"no free volume of class {class_name} holds {format_quantity(claim.size_bytes)} "
            f"with {claim.access_mode}",
            f"the class makes none by itself; {largest} is free" if not sizes else largest,
            "make one, or set spec.storage.storageClass or spec.storage.size",
        )
