"""A folder of manifests: one file per object and a kustomization that lists them in order."""

from __future__ import annotations

from collections.abc import Iterable

from shardwright.render.emit import Object, emit, plain


def file_name(each: Object) -> str:
    """Name the file of an object: kind and name, lower case.

    >>> file_name({"kind": "Service", "metadata": {"name": "llama"}})
    'service-llama.yaml'
    """
    return f"{each['kind'].lower()}-{plain(each['metadata']['name'])}.yaml"


def manifest_folder(objects: Iterable[Object], *, explain: bool = False) -> dict[str, str]:
    """Write every object into a file of its own; kustomization.yaml applies them in order."""
    listed = list(objects)
    files = {file_name(each): emit([each], explain=explain) for each in listed}
    kustomization: Object = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(files),
    }
    return {**files, "kustomization.yaml": emit([kustomization])}
