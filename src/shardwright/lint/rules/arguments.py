"""Words of a command line that will not reach the program as they were meant."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shardwright.lint.bundle import Member
from shardwright.lint.finding import Fix, Found, Rule
from shardwright.lint.fixes import replace_scalar
from shardwright.lint.objects import Path
from shardwright.lint.reading import mappings
from shardwright.lint.scene import Scene
from shardwright.model.finding import Severity

_GLUED = re.compile(r"(--?[A-Za-z][\w-]*) +(\S.*)")
_REFERENCE = re.compile(r"(?<!\$)\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
_SERVICE_LINK = re.compile(r"_SERVICE_(?:HOST|PORT)|_PORT(?:_|$)")
_CALLED = re.compile(r"[a-z][a-z0-9]*")
"""A word that is more likely a program in a shell's `$(...)` than a variable."""
_PROGRAM = re.compile(r"[\w./-]+")
_SHOWN = 50
"""Characters of a command line that a finding repeats."""
_ONLY_STRINGS = frozenset({str})
_SHELLS = ("sh", "bash", "dash", "ash", "zsh")
_DEFINE = (
    "https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/"
)


def _words(member: Member, mark: str) -> Iterator[tuple[Path, str]]:
    """Yield the words of a container's command line that hold a mark, with their places."""
    container = member.container
    for index, word in enumerate(container.command or ()):
        if mark in word:
            yield (*container.path, "command", index), word
    for index, word in enumerate(container.args):
        if mark in word:
            yield (*container.path, "args", index), word


def _uses_shell(member: Member) -> bool:
    return any(word.rpartition("/")[2] in _SHELLS for word in member.container.words[:3])


def _glued_value(scene: Scene) -> Iterator[Found]:
    yield from _glued_program(scene)
    for member in scene.members:
        if not member.command.engines or _uses_shell(member):
            continue
        for path, word in _words(member, " "):
            match = _GLUED.fullmatch(word)
            if match is None or "=" in match[1]:
                continue
            edit = replace_scalar(member.object, path, f'"{match[1]}={match[2]}"')
            is_simple = " " not in match[2] and '"' not in match[2] and "\\" not in match[2]
            yield Found(
                object=member.object,
                path=path,
                what=f"{word!r} is one argument: the engine looks for a flag of that name",
                remedy=f"write {match[1]}={match[2]}, or two list items",
                fix=Fix(summary=f"write {match[1]}={match[2]}", edits=(edit,))
                if edit and is_simple
                else None,
            )


def _glued_program(scene: Scene) -> Iterator[Found]:
    """Find a whole command line that stands where the program's name belongs."""
    for member in scene.members:
        program = next(iter(member.container.command or ()), "")
        name, blank, rest = program.partition(" ")
        if blank and rest.strip() and _PROGRAM.fullmatch(name):
            yield Found(
                object=member.object,
                path=(*member.container.path, "command", 0),
                what=f"{_shortened(program)!r} is one word: no program has that name",
                why="No shell splits list items, and the runtime finds no program of that name.",
                remedy='write every word as an item of its own, or command: ["/bin/sh", "-c", ...]',
            )


def _shortened(words: str) -> str:
    """Write the first words of a long command line.

    >>> _shortened("python3 -m vllm.entrypoints.openai.api_server --port 8000 --model /models/a")
    'python3 -m vllm.entrypoints.openai.api_server ...'
    """
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN].rpartition(' ')[0].rstrip()} ..."


def _variable_not_set(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        container = member.container
        if member.workload.is_managed or container.has_env_from or not container.mentions("$("):
            continue
        in_shell = _uses_shell(member)
        for path, word in _words(member, "$("):
            for name in dict.fromkeys(_REFERENCE.findall(word)):
                is_set = name in container.env or name.startswith(("LWS_", "JOB_COMPLETION"))
                is_program = in_shell and _CALLED.fullmatch(name)
                if is_set or is_program or _SERVICE_LINK.search(name):
                    continue
                yield Found(
                    object=member.object,
                    path=path,
                    near=f"$({name})",
                    severity=Severity.WARNING if in_shell else Severity.ERROR,
                    what=f"$({name}) is set nowhere in container {container.name}",
                )


def _not_a_string(scene: Scene) -> Iterator[Found]:
    for workload in scene.workloads:
        for pod in workload.pods:
            for container in (*pod.containers, *pod.init_containers):
                for path, value in _strings(container.data, container.path):
                    text = "true" if value is True else "false" if value is False else str(value)
                    edit = replace_scalar(workload.manifest, path, f'"{text}"')
                    yield Found(
                        object=workload.manifest,
                        path=path,
                        what=f"{text} is a {type(value).__name__}; Kubernetes wants a string here",
                        remedy=f'write "{text}"',
                        fix=Fix(summary=f"quote {text}", edits=(edit,)) if edit else None,
                    )


def _strings(data: dict[str, object], path: Path) -> Iterator[tuple[Path, object]]:
    """Yield what must be a string and is none: words of command lines, values of variables."""
    for key in ("command", "args"):
        words = data.get(key)
        if not isinstance(words, list) or _ONLY_STRINGS.issuperset(map(type, words)):
            continue
        for index, word in enumerate(words):
            if isinstance(word, bool | int | float):
                yield (*path, key, index), word
    for index, variable in mappings(data.get("env")):
        value = variable.get("value")
        if value.__class__ is not str and isinstance(value, bool | int | float):
            yield (*path, "env", index, "value"), value


RULES = (
    Rule(
        code="argument-holds-two-words",
        severity=Severity.ERROR,
        title="a flag and its value, or a whole command line, in one list item",
        why="No shell splits list items: the program gets flag, blank and value as one argument.",
        remedy="write --flag=value, or flag and value as two items",
        references=(_DEFINE,),
        check=_glued_value,
    ),
    Rule(
        code="variable-not-set",
        severity=Severity.ERROR,
        title="$(NAME) that no variable fills in",
        why=(
            "The kubelet replaces $(NAME) only by variables of the same container; an unknown one"
            " stays as text, which a shell then runs as a command."
        ),
        remedy="add the variable to env, or correct its name",
        references=(_DEFINE,),
        check=_variable_not_set,
    ),
    Rule(
        code="not-a-string",
        severity=Severity.ERROR,
        title="a number or boolean where Kubernetes wants a string",
        why=(
            "command, args and the values of env are strings. The API server refuses the object:"
            " cannot unmarshal number into Go struct field."
        ),
        remedy="put it in quotes",
        references=(_DEFINE,),
        check=_not_a_string,
    ),
)
