"""The programs that matter to a launch, as values: engines, Ray, MPI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from shardwright.facts.flags import FlagCatalog, catalog
from shardwright.lint.command.dialects import Dialect, Engine
from shardwright.lint.objects import KubeObject, Path
from shardwright.lint.reading import integer
from shardwright.lint.shell.values import is_known
from shardwright.model.version import Version


class Site(NamedTuple):
    """Where a command is written: a field of an object. near: text to look for inside it."""

    object: KubeObject
    path: Path
    near: str = ""


class Form(Enum):
    """How an engine is started."""

    PROGRAM = "program"
    MODULE = "python -m"
    ENTRYPOINT = "image entrypoint"


class Flag(NamedTuple):
    """One flag as used. name: with dashes, without value or dotted part; typed: as written."""

    name: str
    typed: str
    values: tuple[str, ...]

    @property
    def value(self) -> str | None:
        """Return the first value; None for a switch."""
        return self.values[0] if self.values else None


@dataclass(frozen=True, kw_only=True, eq=False)
class EngineInvocation:
    """One engine process. version: from the image's tag; None when that does not tell.

    Without slots, since answers are kept: every rule asks for the same few.
    """

    dialect: Dialect
    """How this engine's command line is written."""
    form: Form
    version: Version | None
    positionals: tuple[str, ...]
    flags: tuple[Flag, ...]
    is_conditional: bool
    site: Site
    mpi_ranks: int | None = None
    """Ranks mpirun starts of it, where it does."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables the script sets for it."""

    @property
    def engine(self) -> Engine:
        """Which engine it is."""
        return self.dialect.engine

    def find(self, names: tuple[str, ...]) -> Flag | None:
        """Return the last use of any of these flags: the one that counts."""
        last = -1
        for name in names:
            at = self._last.get(name, -1)
            if at > last:
                last = at
        return self.flags[last] if last >= 0 else None

    @cached_property
    def _last(self) -> Mapping[str, int]:
        """Where each flag is used last."""
        return {flag.name: index for index, flag in enumerate(self.flags)}

    def has(self, *names: str) -> bool:
        """Tell whether any of these flags is used."""
        return self.find(names) is not None

    def size(self, names: tuple[str, ...]) -> int | None:
        """Return a flag's whole number: 1 when the flag is absent, None when not known."""
        flag = self.find(names) if names else None
        return 1 if flag is None else integer(flag.value)

    @cached_property
    def tensor_parallel(self) -> int | None:
        """Ranks each layer is cut over; None when not known before the pod runs."""
        return self.size(self.dialect.tensor)

    @cached_property
    def pipeline_parallel(self) -> int | None:
        """Stages the layers are dealt to."""
        return self.size(self.dialect.pipeline)

    @cached_property
    def ranks(self) -> int | None:
        """Ranks of one copy of the model: TP times PP."""
        tensor, pipeline = self.tensor_parallel, self.pipeline_parallel
        return tensor * pipeline if tensor is not None and pipeline is not None else None

    @cached_property
    def is_data_parallel(self) -> bool:
        """True if the engine runs several copies of the model, however many.

        Attention groups (SGLang) are parts of one copy.
        """
        flag = self.find(self.dialect.data) if self.dialect.data else None
        is_more = flag is not None and integer(flag.value) != 1
        return is_more and not self.has("--enable-dp-attention")

    @cached_property
    def num_nodes(self) -> int | None:
        """What the engine is told about the number of nodes; None when absent or not known."""
        flag = self.find(self.dialect.nodes)
        return integer(flag.value) if flag else None

    @cached_property
    def asks_for_nodes(self) -> bool:
        """True if the engine is to span several nodes, however many."""
        flag = self.find(self.dialect.nodes)
        return flag is not None and integer(flag.value) != 1

    @cached_property
    def node_rank(self) -> str | None:
        """The node's rank as written, which may be unknown text."""
        flag = self.find(self.dialect.node_rank)
        return flag.value if flag else None

    @cached_property
    def is_headless(self) -> bool:
        """True for a vLLM rank without HTTP."""
        return self.engine is Engine.VLLM and self.has("--headless")

    @cached_property
    def uses_ray(self) -> bool:
        """True if vLLM is told to run its ranks on Ray."""
        flag = self.find(("--distributed-executor-backend", "--worker-use-ray"))
        return flag is not None and (flag.name == "--worker-use-ray" or flag.value == "ray")

    @cached_property
    def port(self) -> int | None:
        """The HTTP port: as given, or the engine's own; None when not known."""
        flag = self.find(self.dialect.http_port)
        return self.dialect.port if flag is None else integer(flag.value)

    @cached_property
    def model(self) -> str:
        """The model's id or path as written, "" when there is none or it is not known."""
        flag = self.find(self.dialect.model) if self.dialect.model else None
        named = (flag.value or "") if flag else next(iter(self.positionals), "")
        return named if is_known(named) else ""

    @cached_property
    def catalog(self) -> FlagCatalog | None:
        """The list of flags this engine ever had."""
        return catalog(self.engine.value)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RayStart:
    """One `ray start`, or a wrapper that does it. address: host and port it joins, as written.

    before: programs the container named before it; is_background: followed by `&`.
    """

    is_head: bool
    address: str
    port: int
    blocks: bool
    is_conditional: bool
    site: Site
    num_gpus: int | None = None
    before: int = 0
    is_background: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OtherProgram:
    """Any other program, for rules that look for one: name without directory, and arguments."""

    name: str
    arguments: tuple[str, ...]
    is_conditional: bool
    site: Site


def host_of(address: str) -> tuple[str, int | None]:
    """Split `host:port`; a scheme in front is dropped.

    >>> host_of("ray-head-0.ray:6379"), host_of("$HEAD"), host_of("[fd00::1]:20000")
    (('ray-head-0.ray', 6379), ('$HEAD', None), ('fd00::1', 20000))
    """
    rest = address.rpartition("://")[2].strip("/")
    if rest.startswith("["):
        host, _, tail = rest[1:].partition("]")
        return host, integer(tail.lstrip(":"))
    host, colon, tail = rest.rpartition(":")
    if not colon or ":" in host:
        return rest, None
    return host, integer(tail)
