"""Fields of the spec that nothing renders yet: refused, so that none is ever ignored in silence."""

from __future__ import annotations

from shardwright.model.errors import ShardwrightError, usage_error
from shardwright.model.request import Request


def refuse_unbuilt(request: Request, image: str) -> ShardwrightError | None:
    """Say which asked field would have no effect, or that an image is not pinned as asked."""
    asked = {
        "spec.scheduling.queue": request.scheduling.queue,
        "spec.scheduling.gang": request.scheduling.gang != "none",
        "spec.access.route": request.access.route_host,
        "spec.images.prePull": request.images.pre_pull != "none",
    }
    fields = [name for name, value in asked.items() if value]
    if fields:
        return usage_error(
            "field-not-built",
            f"{', '.join(fields)}: no manifest would carry it yet",
            remedy="leave it out, and add the object by hand to what `shardwright render` writes",
        )
    if request.images.pin_digests and "@sha256:" not in image:
        return usage_error(
            "image-not-pinned",
            f"spec.images.pinDigests is set, and {image} has no digest",
            remedy="set spec.engine.image to registry/name:tag@sha256:…",
        )
    return None
