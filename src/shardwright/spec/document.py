"""The user's file, field by field: strict, documented, the source of the JSON Schema.

Read by `shardwright.spec.load`, which turns it into a `Request` at once; nothing else sees these
types. The text below a field is its description in editors' completion (`spec/schema.py`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

Name = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=53)]
KubeName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
Count = Annotated[int, Field(ge=1, le=65536)]
Tokens = Annotated[int, Field(ge=1, le=16 * 2**20)]
Bytes = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$")]
Line = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""One line of text without control characters."""


class Strict(BaseModel):
    """What users write: unknown fields are errors, nothing is coerced."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        alias_generator=to_camel,
        allow_inf_nan=False,
    )


class Metadata(Strict):
    """Name and namespace of the endpoint."""

    name: Name | None = None
    """Name of the endpoint; the model's name if left out."""
    namespace: KubeName = "default"
    """Kubernetes namespace."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels added to every object."""


class Model(Strict):
    """The model to serve."""

    id: Annotated[Line, Field(max_length=200)]
    """Hugging Face id, such as meta-llama/Llama-3.1-70B-Instruct; also the served name."""
    config_file: Line | None = None
    """A config.json on disk to plan from, relative to this file; for models not on the hub."""
    path: Line | None = None
    """Directory of the weights inside the claim; by default one named after the id."""
    revision: Line | None = None
    """Git revision on the hub; pin it for repeatable deployments."""
    source: Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]+(/[^\s]*)?$")] | None = None
    """Where the files of the weights are instead of the hub: s3://bucket/prefix."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model; refused unless set."""


class Engine(Strict):
    """The inference engine."""

    name: Literal["vllm", "sglang", "tensorrt-llm", "triton", "triton-engines"] = "vllm"
    """Engine to run; triton-engines compiles TensorRT engines, on releases that still can."""
    version: Line | None = None
    """Engine version; by default the one Shardwright pins."""
    image: Line | None = None
    """Container image; by default the engine's own image of that version."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] | None = None
    """Type of activations and unquantized weights; by default what config.json says."""
    quantization: Line | None = None
    """Quantization method; by default what config.json says."""
    kv_cache_dtype: Literal["auto", "fp8", "fp8_e4m3", "fp8_e5m2", "bfloat16", "float16"] | None = (
        None
    )
    """Type of the KV cache."""
    max_model_len: Tokens | None = None
    """Longest prompt plus answer, tokens; by default what the workload needs."""
    max_num_seqs: Count | None = None
    """Most sequences in one step."""
    max_num_batched_tokens: Tokens | None = None
    """Most tokens in one step."""
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] | None = None
    """Part of each GPU's memory the engine may use, 0 to 1."""
    extra_args: list[Line] = Field(default_factory=list)
    """Arguments passed through to the engine, checked against its version."""
    env: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = Field(
        default_factory=dict
    )
    """Environment variables passed through to the engine."""


class Toleration(Strict):
    """A taint the pods accept, as in Kubernetes."""

    key: str | None = None
    """Taint key; all taints if left out."""
    operator: Literal["Exists", "Equal"] = "Exists"
    """How key and value are compared."""
    value: str | None = None
    """Taint value, with operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Taint effect; all effects if left out."""


class Cluster(Strict):
    """The hardware at hand."""

    gpu: Line
    """GPU type, such as H200-SXM, H100-SXM, A100-80GB or L40S."""
    gpus_per_node: Annotated[int, Field(ge=1, le=72)] = 8
    """GPUs in one node."""
    nodes: Count | None = None
    """Nodes that may be used; as many as the plan needs if left out."""
    fabric: (
        Annotated[str, Field(pattern=r"^(infiniband|roce|efa|ethernet)-[1-9][0-9]{0,4}g$")] | None
    ) = None
    """Network between nodes and the rate of one NIC in Gbit/s: infiniband-400g, ethernet-100g."""
    gpu_resource: Line = "nvidia.com/gpu"
    """Kubernetes resource that stands for one GPU."""
    rdma_resource: Line | None = None
    """Kubernetes resource of the RDMA device plugin, such as rdma/ib; its name is the cluster's."""
    rdma_memlock: Literal["runtime", "capability"] = "runtime"
    """How pods may lock memory for RDMA: the runtime's ulimit, or the IPC_LOCK capability."""
    host_network: bool = False
    """Run pods in the node's network."""
    network_interface: Line | None = None
    """Interface NCCL and Gloo use when a pod has several."""
    topology_key: Line | None = None
    """Node label whose value names one fabric; a group stays within one."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels a node must have."""
    tolerations: list[Toleration] = Field(default_factory=list)
    """Taints the pods accept."""


class Parallelism(Strict):
    """Degrees of parallelism; each left out is the planner's."""

    tensor: Count | None = None
    """Tensor-parallel size."""
    pipeline: Count | None = None
    """Pipeline-parallel size."""
    data: Count | None = None
    """Engine-level data-parallel size."""
    expert: Count | None = None
    """Ranks the routed experts are spread over."""
    replicas: Count | None = None
    """Independent copies behind one Service."""


class Workload(Strict):
    """The load to plan for."""

    input_tokens: Tokens = 2048
    """Prompt length, tokens."""
    output_tokens: Tokens = 256
    """Answer length, tokens."""
    concurrency: Count | None = None
    """Requests in flight at once."""
    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    """Arrival rate, Poisson."""
    prefix_tokens: Annotated[int, Field(ge=0)] = 0
    """Tokens at the start of every prompt that are the same."""
    input_tokens_stddev: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation of the prompt length in a bench; plans are made for the mean."""
    output_tokens_stddev: Annotated[float, Field(ge=0)] = 0.0
    """Standard deviation of the answer length in a bench; plans are made for the mean."""
    num_prefixes: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Different shared prefixes that prompts of a bench draw from."""
    trace: str | None = None
    """Mooncake trace (JSON lines) a bench replays instead, relative to this file."""

    @model_validator(mode="after")
    def _one_load(self) -> Workload:
        if self.concurrency is not None and self.requests_per_second is not None:
            raise ValueError("give concurrency or requestsPerSecond, not both")
        if self.prefix_tokens > self.input_tokens:
            raise ValueError(
                f"prefixTokens ({self.prefix_tokens}) exceeds inputTokens ({self.input_tokens})"
            )
        return self


class Slo(Strict):
    """The latency objective."""

    ttft_ms: Annotated[float, Field(gt=0)] | None = None
    """Time to first token, milliseconds."""
    itl_ms: Annotated[float, Field(gt=0)] | None = None
    """Time between tokens, milliseconds."""
    percentile: Annotated[float, Field(ge=50, lt=100)] = 95.0
    """Percentile at which both must hold."""


class Bench(Strict):
    """How `shardwright bench` loads the endpoint inside the cluster."""

    image: str | None = None
    """Image with AIPerf; AIPerf's own, else `vllm bench serve` of the engine's image."""


class Storage(Strict):
    """Where the weights live."""

    claim: KubeName | None = None
    """An existing PersistentVolumeClaim; one is created if left out."""
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany"] | None = None
    """Access mode of the claim."""
    storage_class: KubeName | None = None
    """Storage class of a claim we create."""
    size: Bytes | None = None
    """Size of a claim we create, such as 500Gi; by default from the weights."""
    read_rate: Bytes | None = None
    """Bytes per second one node reads from it, such as 1G; sets the start-up budget."""


class Images(Strict):
    """Where images come from."""

    registry: Line | None = None
    """Registry that mirrors every image."""
    pull_secrets: list[KubeName] = Field(default_factory=list)
    """Secrets to pull with."""
    pin_digests: bool = False
    """Refuse an image that is not pinned by digest."""
    download: Line | None = None
    """Image of the download job; the engine's by default. model.source needs boto3 in it."""
    pre_pull: Literal["none", "job"] = "none"
    """A Job that pulls the image to the nodes, to be run before the group starts."""


class Network(Strict):
    """How the download reaches the outside."""

    proxy: Line | None = None
    """HTTP(S) proxy."""
    no_proxy: list[Line] = Field(default_factory=list)
    """Hosts reached without the proxy."""
    ca_bundle: KubeName | None = None
    """ConfigMap whose ca.crt is trusted."""
    hf_endpoint: Line | None = None
    """Mirror of the Hugging Face hub."""
    s3_endpoint: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = None
    """Address of an S3 store other than Amazon's."""
    s3_region: Line | None = None
    """Region of the bucket."""


class Scheduling(Strict):
    """Queue, priority and gang scheduling."""

    queue: KubeName | None = None
    """Kueue or Volcano queue."""
    priority_class: KubeName | None = None
    """PriorityClass of the pods."""
    gang: Literal["kueue", "volcano", "native", "none"] = "none"
    """Who makes sure a group starts whole."""
    kubernetes: Literal["1.36", "1.37"] | None = None
    """Kubernetes minor version, for `gang: native`: the API of its PodGroup changed in 1.37."""


class Access(Strict):
    """Secrets by name, and the way in."""

    api_key_secret: KubeName | None = None
    """Secret whose key `api-key` clients must present."""
    hf_token_secret: KubeName | None = None
    """Secret whose key `token` downloads a gated model."""
    s3_secret: KubeName | None = None
    """Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, to read model.source."""
    route: KubeName | None = None
    """Host name clients use: an HTTPRoute if a gateway is named, else an Ingress."""
    gateway: Annotated[str, Field(pattern=r"^([a-z0-9-]+/)?[a-z0-9][-a-z0-9.]*$")] | None = None
    """Gateway of the HTTPRoute: its name, or namespace/name."""
    ingress_class: KubeName | None = None
    """IngressClass of the Ingress; by default the cluster's own."""
    tls_secret: KubeName | None = None
    """Secret with the certificate of an Ingress; that of a gateway belongs to its listener."""


class Monitoring(Strict):
    """Objects of the Prometheus operator, written only where asked for."""

    pod_monitor: bool = False
    """A PodMonitor, by which a Prometheus scrapes the pods that serve."""
    alerts: bool = False
    """A PrometheusRule: nobody serves, a growing queue, a full KV cache, spec.slo missed."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels by which your Prometheus selects both, such as release: prometheus."""


class Autoscaling(Strict):
    """More replicas while the load is high; parallelism.replicas is the least."""

    by: Literal["keda", "hpa", "none"] = "none"
    """Who counts replicas: KEDA from a Prometheus, or a HorizontalPodAutoscaler."""
    max_replicas: Count | None = None
    """Most replicas."""
    requests_per_replica: Count | None = None
    """Requests in flight that one replica should have; by default workload.concurrency's share."""
    prometheus: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | None = None
    """For keda: address of the Prometheus that scrapes the pods."""
    metric: Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")] | None = None
    """For hpa: requests in flight of each pod, by the metrics adapter's name for it."""


def _auto_is_empty(value: Any) -> Any:
    return {} if value == "auto" else value


class Spec(Strict):
    """What to serve, on what, and how well."""

    model: Model
    cluster: Cluster
    engine: Engine = Engine()
    parallelism: Annotated[
        Parallelism,
        BeforeValidator(_auto_is_empty, json_schema_input_type=Literal["auto"] | Parallelism),
    ] = Parallelism()
    """`auto`, or the degrees to pin."""
    launch: Literal[
        "auto", "deployment", "statefulset", "ray-statefulset", "lws", "kuberay", "mpi"
    ] = "auto"
    """What starts the members of a group on Kubernetes."""
    workload: Workload = Workload()
    slo: Slo = Slo()
    bench: Bench = Bench()
    storage: Storage = Storage()
    images: Images = Images()
    network: Network = Network()
    scheduling: Scheduling = Scheduling()
    access: Access = Access()
    monitoring: Monitoring = Monitoring()
    autoscaling: Autoscaling = Autoscaling()


class Document(Strict):
    """A DistributedInference: the same document for the command line and the operator."""

    api_version: Literal["shardwright.dev/v1alpha1"] = "shardwright.dev/v1alpha1"
    kind: Literal["DistributedInference"] = "DistributedInference"
    metadata: Metadata = Metadata()
    spec: Spec
