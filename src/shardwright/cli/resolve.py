"""From a spec file on disk to a request and the shape of its model: what most commands do first."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shardwright.cli.options import read_text
from shardwright.model.errors import ShardwrightError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shardwright.model.request import Request
    from shardwright.model.shape import ModelShape
    from shardwright.planner.coefficients import LocalFit
    from shardwright.spec.load import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A spec whose model and GPU are known."""

    loaded: Loaded
    shape: ModelShape

    @property
    def request(self) -> Request:
        """What the spec asks for."""
        return self.loaded.request

    def answered_as(self, request: Request) -> Resolved:
        """Return the same spec with what a plan chose in it."""
        return replace(self, loaded=replace(self.loaded, request=request))


def use_local_fits() -> tuple[LocalFit, ...]:
    """Let predictions rest on the user's own calibration, where there is one. Returns its fits."""
    from shardwright.drive.local_fits import fits_file

    if not fits_file().is_file():
        return ()
    from shardwright.drive.local_fits import read_fits
    from shardwright.planner.coefficients import use

    fits = read_fits()
    use(fits)
    return fits


def resolve(path: Path, *, with_local_fits: bool = True) -> Resolved:
    """Read a spec and find its model and GPU. Raises ShardwrightError naming the line.

    with_local_fits: predictions of it rest on the user's own calibration as well.
    """
    from shardwright.facts.gpus import gpu
    from shardwright.spec.load import load

    if with_local_fits:
        use_local_fits()
    loaded = load(read_text(path), str(path))
    try:
        gpu(loaded.request.cluster.gpu)
    except ShardwrightError as error:
        error.place = loaded.place("cluster", "gpu")
        raise
    try:
        shape = _shape(loaded.request, path.parent)
    except ShardwrightError as error:
        error.place = loaded.place("model")
        raise
    return Resolved(loaded=loaded, shape=shape)


def _shape(request: Request, folder: Path) -> ModelShape:
    from shardwright import shape

    if request.model.config_file:
        return shape.read_config(folder / request.model.config_file, request.model.id)
    return model_shape(request.model.id, request.model.revision, request.network.hf_endpoint)


def model_shape(name: str, revision: str | None = None, endpoint: str | None = None) -> ModelShape:
    """Return the shape of a model by id or path: shipped with us, else fetched from the hub."""
    from shardwright import shape

    if not _is_of_the_hub(name):
        return shape.load(name)
    from shardwright.drive.hub import Hub

    return shape.read_config(Hub(endpoint=endpoint).config(name, revision), name)


def published_config(request: Request, folder: Path) -> Mapping[str, Any]:
    """Return the config.json of a resolved spec as it was published. folder: the spec's own."""
    from shardwright.facts import models

    model = request.model
    if model.config_file or _is_path(model.id):
        path = folder / model.config_file if model.config_file else Path(model.id)
        path = path / "config.json" if path.is_dir() else path
        config: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return config
    if not _is_of_the_hub(model.id):
        return models.load(model.id).config
    from shardwright.drive.hub import Hub

    return Hub(endpoint=request.network.hf_endpoint).config(model.id, model.revision)


def _is_path(name: str) -> bool:
    return name.endswith(".json") or Path(name).is_dir()


def _is_of_the_hub(name: str) -> bool:
    """Tell whether a model is neither a path nor one that ships with us."""
    from shardwright.facts import models

    return not _is_path(name) and models.find(name) is None and name.count("/") == 1
