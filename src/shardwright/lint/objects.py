"""Kubernetes objects as they stand in files: who they are and on which line each field is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from shardwright.lint.documents import BrokenYamlError, Document, Spot, read_documents

Path = tuple[str | int, ...]
"""The way to a field: mapping keys and list indices from the object's root."""

_MAX_LISTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file's name, as findings print it, and its text."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KubeObject:
    """One object. data is as written, possibly mangled: read it through `reading` only."""

    data: dict[str, object]
    api_version: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""
    file: str = ""
    spot: Spot | None = None
    duplicates: tuple[tuple[str, int], ...] = ()
    """Keys written twice in one mapping, each with its line (from 1)."""

    @property
    def group(self) -> str:
        """The API group, empty for core objects."""
        return self.api_version.rpartition("/")[0]

    @property
    def label(self) -> str:
        """How findings name it: `Deployment/vllm`, with its namespace where it has one."""
        parts = [self.kind or "object", self.namespace, self.name or "(no name)"]
        return "/".join(part for part in parts if part)

    def spot_at(self, path: Path) -> Spot | None:
        """Find the position of a field; None when it is absent or the object has no file."""
        spot = self.spot
        for step in path:
            if spot is None:
                return None
            if isinstance(step, int):
                inside = spot.items is not None and step < len(spot.items)
                spot = spot.items[step] if inside and spot.items else None
            else:
                entry = (spot.keys or {}).get(step)
                spot = entry[1] if entry else None
        return spot

    def line_at(self, path: Path) -> int | None:
        """Tell the line, from 1, of a field or of its nearest parent that exists.

        The line of a mapping's field is that of its key.
        """
        if self.spot is None:
            return None
        spot, line = self.spot, self.spot.start.line
        for step in path:
            if isinstance(step, int):
                if spot.items is None or step >= len(spot.items):
                    break
                spot = spot.items[step]
                line = spot.start.line
            else:
                entry = (spot.keys or {}).get(step)
                if entry is None:
                    break
                line, spot = entry[0].line, entry[1]
        return line + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What was read from the files: objects, and the files that are broken with the reason."""

    objects: tuple[KubeObject, ...] = ()
    broken: tuple[tuple[str, BrokenYamlError], ...] = ()
    texts: dict[str, str] = field(default_factory=dict)


def load(sources: tuple[SourceFile, ...]) -> Loaded:
    """Read the objects of many files; documents that are no Kubernetes objects are passed over."""
    objects: list[KubeObject] = []
    broken: list[tuple[str, BrokenYamlError]] = []
    for source in sources:
        documents, problem = read_documents(source.text)
        if problem is not None:
            broken.append((source.name, problem))
        for document in documents:
            objects.extend(_objects(document, source.name))
    texts = {source.name: source.text for source in sources}
    return Loaded(objects=tuple(objects), broken=tuple(broken), texts=texts)


def from_values(values: list[dict[str, object]]) -> tuple[KubeObject, ...]:
    """Take objects that were never text, such as our own rendered ones."""
    found: list[KubeObject] = []
    for value in values:
        _collect(value, None, "", (), found)
    return tuple(found)


def _objects(document: Document, file: str) -> list[KubeObject]:
    found: list[KubeObject] = []
    duplicates = tuple((key, mark.line + 1) for key, mark in document.duplicates)
    _collect(document.value, document.spot, file, duplicates, found)
    return found


def _collect(
    value: object,
    spot: Spot | None,
    file: str,
    duplicates: tuple[tuple[str, int], ...],
    found: list[KubeObject],
    depth: int = 0,
) -> None:
    """Add the object, or the items of a List, to found."""
    if not isinstance(value, dict) or depth > _MAX_LISTS:
        return
    kind = value.get("kind")
    api_version = value.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(api_version, str):
        return
    items = value.get("items")
    if kind.endswith("List") and isinstance(items, list):
        entry = (spot.keys or {}).get("items") if spot else None
        spots = entry[1].items if entry else None
        for index, item in enumerate(items):
            item_spot = spots[index] if spots and index < len(spots) else None
            _collect(item, item_spot, file, duplicates if index == 0 else (), found, depth + 1)
        return
    metadata = value.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name, namespace = metadata.get("name"), metadata.get("namespace")
    obj = KubeObject(
        data=value,
        api_version=api_version,
        kind=kind,
        name=str(name) if isinstance(name, str | int) else "",
        namespace=str(namespace) if isinstance(namespace, str | int) else "",
        file=file,
        spot=spot,
        duplicates=duplicates,
    )
    found.append(obj)
    if kind == "DisaggregatedSet":
        found.extend(_roles(obj))


def _roles(obj: KubeObject) -> Iterator[KubeObject]:
    """Yield the LeaderWorkerSets that a DisaggregatedSet's controller makes, one for each role.

    Source: kubernetes-sigs/lws, `spec.roles[*]` has the metadata and spec of a LeaderWorkerSet.
    """
    spec = obj.data.get("spec")
    roles = spec.get("roles") if isinstance(spec, dict) else None
    for index, role in enumerate(roles if isinstance(roles, list) else ()):
        if isinstance(role, dict):
            yield replace(
                obj,
                data=role,
                api_version="leaderworkerset.x-k8s.io/v1",
                kind="LeaderWorkerSet",
                name=f"{obj.name}-{role.get('name') or index}",
                spot=obj.spot_at(("spec", "roles", index)),
                duplicates=(),
            )
