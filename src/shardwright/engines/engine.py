"""What an engine is to everything else: one frozen value whose callables are plain functions.

Capabilities are fields, so callers never ask for an engine's name. Each engine fills one value in
its own file; `shardwright.engines` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shardwright.engines.reading import Reading
from shardwright.engines.rehearsal import Rehearsal
from shardwright.model.launch import Budgets, Rendezvous, Role, RunAs, Task
from shardwright.model.layout import Layout
from shardwright.model.monitoring import Metrics
from shardwright.model.plan import Plan
from shardwright.model.process import Process
from shardwright.model.request import Mechanism, Request
from shardwright.model.shape import ModelShape
from shardwright.model.volumes import ConfigFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an engine will not do something. code: kebab-case; reason: one sentence."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """All an engine needs to know to write the processes of one member."""

    request: Request
    plan: Plan
    version: str
    mechanism: Mechanism
    rendezvous: Rendezvous
    num_members: int
    weights_path: str
    budgets: Budgets
    shape: ModelShape
    checkpoint_bytes: int
    image: str
    claim: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One inference engine.

    versions: known ones, newest first. image: the engine's own image of a version.
    split_layers: (num_layers, pipeline_parallel) -> layers of each stage, as the engine cuts them.
    refuse_layout: what forbids a layout for a model; empty if nothing does.
    meet: how members find each other under a mechanism, or why the engine cannot run under it.
    processes: what one member runs; a Ray worker runs nothing of its own.
    shm_bytes: (ranks on one member, copies of the model among them, rendezvous) -> what they need
    of /dev/shm.
    rehearsal: how it runs on a CPU; None: it cannot.
    reading: what its log says of its ranks; None: only its phases are known.
    refuse_request: (request, version) -> what the engine cannot do of what is asked.
    tasks: what must be done between the download and serving, such as building engines.
    configs: files its tasks and members read; settings_path: where members see the first of them.
    health_path: answers 2xx once the engine can serve. run_as: (request, version) ->
    the user without root that its image has; None: it has none, or the image is not known.
    metrics: what it exposes to Prometheus, by version; None: nothing that is certain.
    compile_cache_env: variable with the folder where it keeps what it compiled; None: nowhere.
    quantizations: formats it multiplies, with the least CUDA compute capability of its kernels.
    default_version: what holds if nothing is said.
    """

    name: str
    versions: tuple[str, ...]
    default_version: str
    image: Callable[[str], str]
    split_layers: Callable[[int, int], tuple[int, ...]]
    refuse_layout: Callable[[ModelShape, Layout], tuple[Refusal, ...]]
    meet: Callable[[str, Mechanism, int], Rendezvous | Refusal]
    processes: Callable[[Serve, Role], tuple[Process, ...]]
    shm_bytes: Callable[[int, int, Rendezvous], int]
    quantizations: Mapping[str, float] = field(default_factory=dict)
    rehearsal: Rehearsal | None = None
    reading: Reading | None = None
    refuse_request: Callable[[Request, str], tuple[Refusal, ...]] = lambda _request, _version: ()
    tasks: Callable[[Serve], tuple[Task, ...]] = lambda _serve: ()
    configs: Callable[[Serve], tuple[ConfigFiles, ...]] = lambda _serve: ()
    settings_path: str | None = None
    health_path: str = "/health"
    metrics: Callable[[str], Metrics] | None = None
    run_as: Callable[[Request, str], RunAs | None] = lambda _request, _version: None
    compile_cache_env: str | None = None
