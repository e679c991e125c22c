"""The launch plan: who runs what, where and when. The one contract between thinking and doing.

Nothing after it knows why, nothing before it knows where. Made by `shardwright.launch`; turned into
processes by rehearse, into Kubernetes objects by render, and never altered except by `substitute`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from shardwright.model.monitoring import Monitoring
from shardwright.model.process import EnvVar, Process
from shardwright.model.request import Mechanism
from shardwright.model.scaling import Scaling
from shardwright.model.text import SecretValue, Text
from shardwright.model.volumes import Claim, ConfigFiles, Mount

# --- how the members of a group find each other ------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Ray:
    """A Ray cluster: its head on member 0, one Ray node per member. port: the head's GCS."""

    port: int
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchStore:
    """torch.distributed's TCP store on member 0."""

    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mpi:
    """One MPI world, started from member 0 over ssh. port: sshd's."""

    port: int
    agent: str = "ssh"


Rendezvous = Ray | TorchStore | Mpi | None

# --- members -----------------------------------------------------------------------------------


class Role(Enum):
    """Member 0 leads: it holds the rendezvous and the HTTP server."""

    LEADER = "leader"
    WORKER = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """One engine worker and the GPU it holds. layers: first and last hidden layer, inclusive."""

    index: int
    tensor: int
    pipeline: int
    data: int = 0
    expert: int = 0
    local_device: int
    layers: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAs:
    """The user and group, by number, that an image has for running without root."""

    user: int
    group: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One pod, or one set of processes on one host. Workers of a group differ by index only.

    memory_bytes: the limit, with shm_bytes in it, since a memory-backed /dev/shm counts against it.
    run_as: None leaves the user to the image, which is root unless it says otherwise.
    """

    role: Role
    index: int
    image: str
    processes: tuple[Process, ...]
    ranks: tuple[Rank, ...]
    gpus: int
    cpu_millis: int
    memory_bytes: int
    shm_bytes: int
    extra_resources: tuple[tuple[str, int], ...] = ()
    mounts: tuple[Mount, ...] = ()
    capabilities: tuple[str, ...] = ()
    run_as: RunAs | None = None


# --- groups, tasks and the whole ---------------------------------------------------------------


class Start(Enum):
    """The order in which members start."""

    TOGETHER = "together"
    """Engines that meet at start: a worker must not wait for a leader that waits for it."""
    LEADER_FIRST = "leader-first"


class OnMemberLoss(Enum):
    """What happens when one member is lost."""

    RECREATE_GROUP = "recreate-group"
    RESTART_MEMBER = "restart-member"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The members that together hold one copy of the model."""

    members: tuple[Member, ...]
    rendezvous: Rendezvous
    start: Start = Start.TOGETHER
    on_member_loss: OnMemberLoss = OnMemberLoss.RECREATE_GROUP
    gang: str = "none"
    topology_domain: str | None = None


class TaskKind(Enum):
    """What a task does before or beside serving."""

    DOWNLOAD = "download"
    ENGINE_BUILD = "engine-build"
    HARDWARE_CHECK = "hardware-check"
    SHRINK_MODEL = "shrink-model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A job that runs to completion. key: same key, same result, so it need not run again.

    inputs and outputs are paths; done_marker is written last; blocks: serving waits for it.
    pods: how many run it together, each on a node of its own and finding the others by the symbols
    of a group; gpus, cpu, memory and extra resources are those of one pod.
    """

    kind: TaskKind
    name: str
    key: str
    image: str
    argv: tuple[Text, ...]
    env: tuple[EnvVar, ...] = ()
    mounts: tuple[Mount, ...] = ()
    gpus: int = 0
    cpu_millis: int = 1000
    memory_bytes: int = 2 * 2**30
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    done_marker: str | None = None
    deadline_s: int | None = None
    blocks: bool = True
    pods: int = 1
    retries: int = 6
    extra_resources: tuple[tuple[str, int], ...] = ()
    capabilities: tuple[str, ...] = ()


class SecretOrigin(Enum):
    """Who makes a secret."""

    USER = "user"
    GENERATED = "generated"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRef:
    """A secret by name, with the keys that must be in it."""

    name: str
    keys: tuple[str, ...]
    origin: SecretOrigin = SecretOrigin.USER


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The way in from outside. gateway: namespace (None: the endpoint's) and name of a Gateway;
    without one it is an Ingress of a class, None being the cluster's default."""

    host: str
    gateway: tuple[str | None, str] | None = None
    ingress_class: str | None = None
    tls_secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A port of member 0 that clients reach.

    gauges: what of its /metrics adds up to the requests in flight; empty: nothing that is certain.
    """

    name: str
    process: str
    port: str
    health_path: str
    gauges: tuple[str, ...] = ()
    api_key: SecretValue | None = None
    route: Route | None = None


LAST_STEPS_S = 30
"""For proxies to learn that a pod is going, and for its processes to end; assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """Every timer that matters, seconds, derived once; an inner one never outlasts its outer one.

    startup_s is the whole way from container start to ready: load + compile + graphs + margin.
    """

    image_pull_s: int
    download_s: int
    rendezvous_s: int
    load_s: int
    compile_s: int
    graphs_s: int
    startup_s: int
    engine_ready_s: int
    distributed_timeout_s: int
    drain_s: int

    @property
    def requests_s(self) -> int:
        """Of the time to drain, what requests in flight get; processes end in the rest.

        >>> drained = dict.fromkeys(Budgets.__dataclass_fields__, 0) | {"drain_s": 120}
        >>> Budgets(**drained).requests_s
        90
        """
        return max(0, self.drain_s - LAST_STEPS_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """On which nodes, and by which queue.

    kubernetes: minor version that decides the API of native gang scheduling. pre_pull_nodes: on
    how many nodes the image is pulled ahead; 0: on none.
    """

    gpu_resource: str
    gpu_product: str
    node_selector: tuple[tuple[str, str], ...] = ()
    tolerations: tuple[tuple[tuple[str, str], ...], ...] = ()
    host_network: bool = False
    queue: str | None = None
    priority_class: str | None = None
    pull_secrets: tuple[str, ...] = ()
    kubernetes: str | None = None
    pre_pull_nodes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """Everything needed to start, reach and watch one endpoint.

    external_configs: names of the user's own configurations, such as a CA bundle.
    """

    name: str
    namespace: str
    engine: str
    engine_version: str
    model: str
    served_name: str
    mechanism: Mechanism
    group: Group
    replicas: int
    endpoints: tuple[Endpoint, ...]
    budgets: Budgets
    placement: Placement
    tasks: tuple[Task, ...] = ()
    secrets: tuple[SecretRef, ...] = ()
    claims: tuple[Claim, ...] = ()
    configs: tuple[ConfigFiles, ...] = ()
    external_configs: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    monitoring: Monitoring | None = None
    scaling: Scaling | None = None

    @property
    def max_replicas(self) -> int:
        """Groups there may be at once; replicas is the least where something scales them."""
        return self.scaling.max_replicas if self.scaling else self.replicas
