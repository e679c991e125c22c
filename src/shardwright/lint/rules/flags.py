"""Engine flags against the engine's own lists, release by release."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.facts.flags import FlagCatalog, Standing
from shardwright.lint.command.invocation import EngineInvocation, Flag
from shardwright.lint.finding import Found, Rule
from shardwright.lint.fixes import rename_flag
from shardwright.lint.scene import Scene
from shardwright.model.finding import Severity


def _standing(
    scene: Scene, standing: Standing
) -> Iterator[tuple[EngineInvocation, FlagCatalog, Flag]]:
    for doubtful in scene.doubtful_flags:
        if doubtful.standing is standing:
            yield doubtful.engine, doubtful.catalog, doubtful.flag


def _flag_unknown(scene: Scene) -> Iterator[Found]:
    for engine, catalog, flag in _standing(scene, Standing.NEVER):
        near = catalog.nearest(flag.name)
        yield Found(
            object=engine.site.object,
            path=engine.site.path,
            near=flag.typed,
            # an image of unknown release may be a fork, or newer than the lists
            severity=Severity.WARNING if engine.version is None and near is None else None,
            what=f"{engine.dialect.title} has no flag {flag.typed}",
            remedy=f"did you mean {near}?" if near else f"remove {flag.typed}",
        )


def _flag_removed(scene: Scene) -> Iterator[Found]:
    for engine, catalog, flag in _standing(scene, Standing.REMOVED):
        replacement = catalog.replacement(flag.name, engine.version)
        instead = replacement.instead if replacement else ""
        note = f" ({replacement.note})" if replacement and replacement.note else ""
        fix = None
        if replacement is not None and replacement.is_rename:
            fix = rename_flag(engine.site, flag.typed, replacement.instead)
        yield Found(
            object=engine.site.object,
            path=engine.site.path,
            near=flag.typed,
            what=f"{engine.dialect.title} {engine.version} no longer has {flag.typed}",
            remedy=f"write {instead}{note}" if instead else f"remove {flag.typed}{note}",
            fix=fix,
        )


def _flag_too_new(scene: Scene) -> Iterator[Found]:
    for engine, catalog, flag in _standing(scene, Standing.NOT_YET):
        first = min(history.first for history in catalog.flags[flag.name])
        yield Found(
            object=engine.site.object,
            path=engine.site.path,
            near=flag.typed,
            what=f"{engine.dialect.title} {engine.version} does not yet have {flag.typed}",
            remedy=f"use an image of {first} or newer, or remove {flag.typed}",
        )


def _flag_unlisted(scene: Scene) -> Iterator[Found]:
    for engine, catalog, flag in _standing(scene, Standing.UNSURE):
        if flag.name not in catalog.flags:
            yield Found(
                object=engine.site.object,
                path=engine.site.path,
                near=flag.typed,
                what=f"{flag.typed} is in no list of {engine.dialect.title}'s flags that was read",
            )


_SHARES = (
    "--gpu-memory-utilization",
    "--mem-fraction-static",
    "--kv-cache-free-gpu-memory-fraction",
)
"""Parts of a GPU's memory. Sources: vllm/config/cache.py of 0.32.0 (above 0, at most 1); what
SGLang and TensorRT-LLM document of the same."""


def _share_out_of_range(scene: Scene) -> Iterator[Found]:
    for _, engine in scene.engines:
        flag = engine.find(_SHARES)
        share = _number(flag.value) if flag else None
        if flag is None or share is None or 0 < share <= 1:
            continue
        meant = f"write {share / 100:g}, if {share:g} % is meant" if 1 < share <= 100 else None
        yield Found(
            object=engine.site.object,
            path=engine.site.path,
            near=flag.typed,
            what=f"{flag.typed} {flag.value} is no part of a GPU's memory",
            remedy=meant or "write a number above 0 and at most 1, such as 0.9",
        )


def _number(text: str | None) -> float | None:
    """Read a number; None for what is none, such as a variable that is filled in later."""
    try:
        return float(text or "")
    except ValueError:
        return None


_WHY = "The engine's argument parser exits at once on a flag it does not know."
_REFERENCES = ("facts/engines/README.md (the engines' own parsers, by release)",)

RULES = (
    Rule(
        code="flag-unknown",
        severity=Severity.ERROR,
        title="a flag no release of the engine has",
        why=f"{_WHY} Where the image tells no release, only what looks misspelt is an error.",
        remedy="correct the flag's name",
        references=_REFERENCES,
        check=_flag_unknown,
    ),
    Rule(
        code="flag-removed",
        severity=Severity.ERROR,
        title="a flag this release no longer has",
        why=_WHY,
        remedy="write its replacement, or remove it",
        references=_REFERENCES,
        check=_flag_removed,
    ),
    Rule(
        code="flag-too-new",
        severity=Severity.ERROR,
        title="a flag this release does not have yet",
        why=_WHY,
        remedy="use a newer image",
        references=_REFERENCES,
        check=_flag_too_new,
    ),
    Rule(
        code="flag-unlisted",
        severity=Severity.WARNING,
        title="a flag that is in none of the lists we read",
        why="Our list of this engine's flags is partial, or the release is newer than the list.",
        remedy="check it with the engine's --help",
        references=_REFERENCES,
        check=_flag_unlisted,
    ),
    Rule(
        code="memory-share-out-of-range",
        severity=Severity.ERROR,
        title="a part of the GPU's memory that is not between 0 and 1",
        why="Engines take it as a fraction, not in percent, and exit at once on any other number.",
        remedy="write a number above 0 and at most 1",
        references=("vllm/config/cache.py, gpu_memory_utilization",),
        check=_share_out_of_range,
    ),
)
