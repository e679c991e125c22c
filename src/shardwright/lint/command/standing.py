"""The flags of every engine judged once against the engine's lists, for the rules about flags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shardwright.facts.flags import FlagCatalog, Standing
from shardwright.lint.bundle import Bundle
from shardwright.lint.command.invocation import EngineInvocation, Flag
from shardwright.lint.shell.values import is_known

_ALWAYS = frozenset({"--help", "--version"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DoubtfulFlag:
    """A flag as used, and what is known of it in the engine's release."""

    engine: EngineInvocation
    catalog: FlagCatalog
    flag: Flag
    standing: Standing


def find_doubtful_flags(bundle: Bundle) -> Iterator[DoubtfulFlag]:
    """Yield the flags that are not simply known."""
    for _, engine in bundle.engines:
        catalog = engine.catalog
        if catalog is None:
            continue
        standings = catalog.standings(engine.version)
        for flag in engine.flags:
            standing = standings(flag.name)
            if standing is not Standing.KNOWN and _is_readable(flag):
                yield DoubtfulFlag(engine=engine, catalog=catalog, flag=flag, standing=standing)


def _is_readable(flag: Flag) -> bool:
    """True for a flag whose name is all there and is in no way special."""
    is_plain = is_known(flag.typed) and " " not in flag.typed
    return is_plain and flag.name.startswith("--") and flag.name not in _ALWAYS
