"""Images by the names a site has for them."""

from __future__ import annotations

from shardwright.engines import Engine
from shardwright.model.request import Request


def image_of(request: Request, engine: Engine, version: str) -> str:
    """Image reference, through the mirror registry where the site has one."""
    return mirrored(request, request.engine.image or engine.image(version))


def mirrored(request: Request, image: str) -> str:
    """Name an image at the mirror registry, where the site has one."""
    registry = request.images.registry
    return f"{registry}/{image}" if registry and not image.startswith(f"{registry}/") else image
