"""What the user asks for, as frozen values: the spec file after validation.

Made by `shardwright.spec`; read by plan, launch and everything after. Field names are those of the
file in snake case, with units where the file has them in its own names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Mechanism(Enum):
    """What starts and watches the members of a group on Kubernetes."""

    DEPLOYMENT = "deployment"
    STATEFULSET = "statefulset"
    RAY_STATEFULSET = "ray-statefulset"
    LWS = "lws"
    KUBERAY = "kuberay"
    MPI = "mpi"


class FabricKind(Enum):
    """The network between nodes."""

    INFINIBAND = "infiniband"
    ROCE = "roce"
    EFA = "efa"
    ETHERNET = "ethernet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """The network between nodes, one NIC's rate in bits per second and direction."""

    kind: FabricKind
    bits_per_s: int

    @property
    def is_rdma(self) -> bool:
        """Whether GPUs of different nodes can be connected by RDMA."""
        return self.kind is not FabricKind.ETHERNET

    def __str__(self) -> str:
        """Write the fabric as the spec file does.

        >>> str(Fabric(kind=FabricKind.INFINIBAND, bits_per_s=400 * 10**9))
        'infiniband-400g'
        """
        return f"{self.kind.value}-{self.bits_per_s // 10**9}g"


def parse_fabric(text: str) -> Fabric:
    """Read a fabric as the spec file writes it.

    >>> parse_fabric("roce-200g").bits_per_s
    200000000000
    """
    kind, rate = text.removesuffix("g").split("-")
    return Fabric(kind=FabricKind(kind), bits_per_s=int(rate) * 10**9)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """Which model: a Hugging Face id, a config.json on disk, or a directory in the claim.

    source: where the files of the weights are instead of the hub.
    """

    id: str
    config_file: str | None = None
    path: str | None = None
    revision: str | None = None
    source: str | None = None
    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRef:
    """Which engine and how it is told to run; None leaves a value to us or to the engine."""

    name: str
    version: str | None = None
    image: str | None = None
    dtype: str | None = None
    quantization: str | None = None
    kv_cache_dtype: str | None = None
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    gpu_memory_utilization: float | None = None
    extra_args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """A taint the pods accept; fields are Kubernetes' own."""

    key: str | None = None
    operator: str = "Exists"
    value: str | None = None
    effect: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRef:
    """The hardware at hand. nodes None: as many as the plan needs.

    gpu_product_selector: nodes must also carry the label of this GPU.
    """

    gpu: str
    gpus_per_node: int
    nodes: int | None = None
    fabric: Fabric | None = None
    gpu_resource: str = "nvidia.com/gpu"
    rdma_resource: str | None = None
    rdma_memlock: str = "runtime"
    host_network: bool = False
    network_interface: str | None = None
    topology_key: str | None = None
    node_selector: tuple[tuple[str, str], ...] = ()
    gpu_product_selector: bool = False
    tolerations: tuple[Toleration, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallelism:
    """Degrees the user pins; None leaves one to the planner."""

    tensor: int | None = None
    pipeline: int | None = None
    data: int | None = None
    expert: int | None = None
    replicas: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The load to plan for: a fixed concurrency or an arrival rate, never both.

    Lengths are means; the deviations, the number of different prefixes and the trace (a file beside
    the spec) are for the load test, which sends them; plans are made for the means.
    """

    input_tokens: int = 2048
    output_tokens: int = 256
    concurrency: int | None = None
    requests_per_s: float | None = None
    prefix_tokens: int = 0
    input_stddev: float = 0.0
    output_stddev: float = 0.0
    num_prefixes: int = 1
    trace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """The latency objective, seconds, at a percentile; None: not asked.

    goodput: share of requests that must meet all of them at once, 0 to 1.
    """

    ttft_s: float | None = None
    itl_s: float | None = None
    percentile: float = 95.0
    goodput: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where the weights live. claim None: we create one named after the endpoint.

    image: an OCI image that holds them; there is no claim then.
    """

    claim: str | None = None
    access_mode: str | None = None
    storage_class: str | None = None
    size_bytes: int | None = None
    image: str | None = None
    read_bytes_per_s: int | None = None
    compile_cache: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Where images come from, for sites that mirror them."""

    registry: str | None = None
    pull_secrets: tuple[str, ...] = ()
    pin_digests: bool = False
    download: str | None = None
    pre_pull: str = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How pods reach the outside while weights are downloaded."""

    proxy: str | None = None
    no_proxy: tuple[str, ...] = ()
    ca_bundle: str | None = None
    hf_endpoint: str | None = None
    s3_endpoint: str | None = None
    s3_region: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduling:
    """Queue, priority and gang scheduling."""

    queue: str | None = None
    priority_class: str | None = None
    gang: str = "none"
    kubernetes: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Secrets and the way in. Names of Secrets, never values."""

    api_key_secret: str | None = None
    hf_token_secret: str | None = None
    s3_secret: str | None = None
    route_host: str | None = None
    gateway: str | None = None
    ingress_class: str | None = None
    tls_secret: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringAsked:
    """Objects of the Prometheus operator, and the labels by which a Prometheus selects them."""

    pod_monitor: bool = False
    alerts: bool = False
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaling:
    """Who may add replicas to those of the plan, up to how many, and for what load."""

    by: str = "none"
    max_replicas: int | None = None
    requests_per_replica: int | None = None
    prometheus: str | None = None
    metric: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The whole of what the user asks for."""

    name: str
    namespace: str
    labels: tuple[tuple[str, str], ...]
    model: ModelRef
    engine: EngineRef
    cluster: ClusterRef
    parallelism: Parallelism
    launch: Mechanism | None
    workload: Workload
    slo: Slo
    storage: Storage
    images: Images
    network: Network
    scheduling: Scheduling
    access: Access
    monitoring: MonitoringAsked = MonitoringAsked()
    autoscaling: Autoscaling = Autoscaling()
    bench_image: str | None = None
