"""What our own lint holds against the objects: an image without Ray, a name too long, and so on."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.deploy.checks.scene import Scene, error
from shardwright.lint.objects import from_values
from shardwright.lint.run import lint_objects
from shardwright.model.finding import Finding, Severity


def manifests(scene: Scene) -> Iterator[Finding]:
    """Lint the rendered objects; only what cannot work stops a deployment."""
    for found in lint_objects(from_values(list(scene.objects))):
        if found.severity is Severity.ERROR:
            yield error(found.code, f"{found.object}: {found.what}", found.why, found.remedy)
