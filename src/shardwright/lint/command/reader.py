"""A container's command, arguments, environment and image to the programs it starts.

Kubernetes' own `$(NAME)` is filled in first, then shells are read; scripts are followed into
here-documents and mounted ConfigMaps. What cannot be known stays a symbol (`shell.values`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from shardwright.lint.command.arguments import read_arguments
from shardwright.lint.command.dialects import (
    VLLM,
    Dialect,
    dialect_of_entrypoint,
    dialect_of_module,
    dialect_of_program,
    version_of,
)
from shardwright.lint.command.invocation import (
    EngineInvocation,
    Form,
    OtherProgram,
    RayStart,
    Site,
)
from shardwright.lint.command.launchers import read_ray, split_mpirun, strip_prefixes
from shardwright.lint.objects import Path
from shardwright.lint.shell.script import Command, read_script
from shardwright.lint.shell.values import unknown
from shardwright.lint.workload.container import Container

ScriptAt = Callable[[str], tuple[str, Site] | None]
"""Finds the text of a script by its path in the container, and where that text is written."""

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh"})
_PYTHONS = re.compile(r"python[0-9.]*")
_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_MAX_NESTED = 4


@dataclass(slots=True, kw_only=True)
class ContainerCommand:
    """What a container runs. is_opaque: some of it could not be read (an unseen script)."""

    engines: list[EngineInvocation] = field(default_factory=list)
    rays: list[RayStart] = field(default_factory=list)
    others: list[OtherProgram] = field(default_factory=list)
    is_opaque: bool = False
    is_empty: bool = False
    """True if neither command nor arguments are given: the image alone decides."""
    repeats_entrypoint: bool = False
    """True if the arguments name the program the image's entrypoint already is."""

    @property
    def num_programs(self) -> int:
        """Programs named so far."""
        return len(self.engines) + len(self.rays) + len(self.others)

    def program(self, *names: str) -> OtherProgram | None:
        """Return the first other program of one of these names."""
        return next((other for other in self.others if other.name in names), None)


def read_command(
    container: Container, known: Mapping[str, str], script_at: ScriptAt, site: Site
) -> ContainerCommand:
    """Read a container. known: variables a controller sets besides the container's own env."""
    reader = _CommandReader(container, known, script_at)
    command, args = container.command, container.args
    if command is not None:
        words = reader.fill((*command, *args))
        reader.start(words, site)
        return reader.result
    dialect = dialect_of_entrypoint(container.image)
    words = reader.fill(args)
    args_site = Site(object=site.object, path=(*container.path, "args"))
    reader.result.is_empty = not words
    if dialect is not None:
        first = (*words, "", "")[:2]
        named = dialect_of_program(first[0], first[1])
        if named or first[0].rpartition("/")[2] in _SHELLS | {"python3", "python"}:
            reader.result.repeats_entrypoint = True
            reader.start(words, site)
        elif words:
            reader.engine(dialect, words, Form.ENTRYPOINT, args_site)
    elif words and not words[0].startswith("-"):
        reader.start(words, site)
    else:
        reader.result.is_opaque = True
    return reader.result


class _CommandReader:
    """Follows one container's words through shells and wrappers."""

    def __init__(self, container: Container, known: Mapping[str, str], script_at: ScriptAt) -> None:
        self.container = container
        self.script_at = script_at
        self.result = ContainerCommand()
        self.files: dict[str, str] = {}
        self.variables: dict[str, str] = dict(known)
        for name, variable in container.env.items():
            value = variable.value
            if value is None:
                self.variables[name] = unknown(name)
            else:
                self.variables[name] = self._fill_word(value) if "$" in value else value

    def fill(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """Fill in `$(NAME)` as the kubelet does; an unset name stays as it is."""
        return tuple(self._fill_word(word) if "$" in word else word for word in words)

    def _fill_word(self, word: str) -> str:
        def value(match: re.Match[str]) -> str:
            if match[0] == "$$":
                return "$"
            return self.variables.get(match[1], match[0])

        return _REFERENCE.sub(value, word)

    def start(self, words: tuple[str, ...], site: Site) -> None:
        """Read the container's own command line; a script in it gets its exact place."""
        stripped = strip_prefixes(words)
        at = "args" if self.container.args else "command"
        own = Site(object=site.object, path=(*self.container.path, at))
        dropped = len(words) - len(stripped)
        program = stripped[0].rpartition("/")[2] if stripped else ""
        if program in _SHELLS:
            for index in range(dropped + 1, len(words)):
                if not words[index].startswith("-"):
                    own = Site(object=site.object, path=self._place(index))
                    break
        self.run(stripped, own, 0)

    def _place(self, index: int) -> Path:
        """Return the path of the word at this index of command and arguments together."""
        of_command = len(self.container.command or ())
        if index < of_command:
            return (*self.container.path, "command", index)
        return (*self.container.path, "args", index - of_command)

    def run(
        self, words: tuple[str, ...], site: Site, depth: int, outer: Command | None = None
    ) -> None:
        """Read one command line."""
        words = strip_prefixes(words)
        if not words or depth > _MAX_NESTED:
            return
        program = words[0].rpartition("/")[2]
        if program in _SHELLS:
            self._shell(words, site, depth, outer)
        elif program in {"mpirun", "mpiexec", "orterun"}:
            for ranks, part in split_mpirun(words):
                self._program(part, site, outer, ranks)
        else:
            self._program(words, site, outer, None)

    def _shell(self, words: tuple[str, ...], site: Site, depth: int, outer: Command | None) -> None:
        index = 1
        while index < len(words) and words[index].startswith(("-", "+")):
            option = words[index]
            index += 1
            if option.startswith("-") and not option.startswith("--") and "c" in option:
                if index < len(words):
                    self._script(words[index], words[index + 1 :], site, depth, outer)
                return
            if option[1:] and option[-1] in "oO" and not option.startswith("--"):
                index += 1
        if index < len(words):
            self._script_file(words[index], words[index:], site, depth, outer)
        elif outer is not None and outer.stdin is not None:
            self._script(outer.stdin, (), site, depth, outer)

    def _script_file(
        self,
        path: str,
        arguments: tuple[str, ...],
        site: Site,
        depth: int,
        outer: Command | None,
    ) -> None:
        if path in self.files:
            self._script(self.files[path], arguments, site, depth, outer)
            return
        found = self.script_at(path)
        if found is not None:
            text, its_site = found
            self._script(text, arguments, its_site, depth, outer)
            return
        self._program(arguments, site, outer, None)
        self.result.is_opaque |= path.rpartition("/")[2] != "multi-node-serving.sh"

    def _script(
        self,
        text: str,
        arguments: tuple[str, ...],
        site: Site,
        depth: int,
        outer: Command | None,
    ) -> None:
        for command in read_script(text, self.variables, arguments):
            if command.written_to and command.stdin is not None and command.argv[0] == "cat":
                self.files[command.written_to] = command.stdin
                continue
            if outer is not None and outer.is_conditional and not command.is_conditional:
                self.run(command.argv, site, depth + 1, command._replace(is_conditional=True))
            else:
                self.run(command.argv, site, depth + 1, command)

    def _program(
        self, words: tuple[str, ...], site: Site, outer: Command | None, ranks: int | None
    ) -> None:
        """Tell what one program is, and keep it."""
        words = strip_prefixes(words)
        if not words:
            return
        is_conditional = outer is not None and outer.is_conditional
        if ray := read_ray(words, site, is_conditional=is_conditional):
            is_background = outer is not None and outer.is_background
            before = self.result.num_programs
            if before or is_background:
                ray = dataclasses.replace(ray, before=before, is_background=is_background)
            self.result.rays.append(ray)
            return
        name = words[0].rpartition("/")[2]
        if name == "trtllm-llmapi-launch":
            self._program(words[1:], site, outer, ranks)
            return
        recognised = _recognise(words, name)
        if recognised is not None:
            dialect, rest, form = recognised
            self.engine(dialect, rest, form, site, is_conditional, ranks, outer)
            return
        if found := self.script_at(words[0]):
            self._script(found[0], words, found[1], 1, outer)
            return
        self.result.others.append(
            OtherProgram(name=name, arguments=words[1:], is_conditional=is_conditional, site=site)
        )

    def engine(
        self,
        dialect: Dialect,
        words: tuple[str, ...],
        form: Form,
        site: Site,
        is_conditional: bool = False,
        ranks: int | None = None,
        outer: Command | None = None,
    ) -> None:
        """Keep one engine."""
        flags, positionals = read_arguments(words, dialect)
        self.result.engines.append(
            EngineInvocation(
                dialect=dialect,
                form=form,
                version=version_of(self.container.image, dialect.engine),
                positionals=positionals,
                flags=flags,
                is_conditional=is_conditional,
                site=site,
                mpi_ranks=ranks,
                environment=tuple(outer.assignments.items()) if outer else (),
            )
        )


def _recognise(words: tuple[str, ...], name: str) -> tuple[Dialect, tuple[str, ...], Form] | None:
    second = words[1] if len(words) > 1 else ""
    if named := dialect_of_program(words[0], second):
        known, used = named
        rest = words[used:]
        if name == "trtllm-serve" and rest[:1] == ("serve",):
            rest = rest[1:]
        return known, rest, Form.PROGRAM
    if _PYTHONS.fullmatch(name):
        rest = tuple(_without_python_options(words[1:]))
        if rest[:1] == ("-m",) and len(rest) > 1 and (dialect := dialect_of_module(rest[1])):
            return dialect, rest[2:], Form.MODULE
        if rest and (named := dialect_of_program(rest[0], "")):
            return named[0], rest[1:], Form.PROGRAM
        if rest[:2] == ("-m", "vllm.entrypoints.cli.main") and rest[2:3] == ("serve",):
            return VLLM, rest[3:], Form.PROGRAM
    return None


def _without_python_options(words: tuple[str, ...]) -> Iterator[str]:
    at = 0
    while at < len(words) and words[at] in {"-u", "-O", "-B", "-I", "-s", "-E"}:
        at += 1
    yield from words[at:]
