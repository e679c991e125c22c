"""Arguments the user passes through to the engine, checked against what its release knows."""

from __future__ import annotations

from shardwright.facts.flags import FlagCatalog, Standing, catalog
from shardwright.model.errors import ExitCode, ShardwrightError
from shardwright.model.version import Version, parse_version

_WHY = {
    Standing.REMOVED: "was removed",
    Standing.NOT_YET: "came with a later release",
    Standing.NEVER: "is in none of the releases that were read",
}


def check_extra_args(engine: str, version: str, arguments: tuple[str, ...]) -> None:
    """Refuse a flag the release does not know. Raises ShardwrightError naming its replacement.

    A release whose parser was not read, or read in part only, is not judged.
    """
    known, release = catalog(engine), parse_version(version)
    if known is None or release is None:
        return
    for argument in arguments:
        if not argument.startswith("--"):
            continue
        flag = argument.split("=", 1)[0].replace("_", "-")
        standing = known.standing(flag, release)
        if standing in _WHY:
            raise ShardwrightError(
                code="engine-flag-unknown",
                what=f"{engine} {version} does not know {flag} (spec.engine.extraArgs)",
                cause=f"{flag} {_WHY[standing]}",
                remedy=_remedy(known, flag, release),
                exit_code=ExitCode.USAGE,
            )


def _remedy(known: FlagCatalog, flag: str, release: Version) -> str:
    replacement = known.replacement(flag, release)
    if replacement is not None and replacement.instead:
        return f"write {replacement.instead} instead"
    near = known.nearest(flag)
    return f"did you mean {near}?" if near and near != flag else f"take {flag} out"
