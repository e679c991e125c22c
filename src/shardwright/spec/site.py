"""Where it is served, as the user's file says it: hardware, storage, images, who may enter."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shardwright.spec.strict import Bytes, Count, KubeName, Line, Strict


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
    gpu_product_selector: bool = False
    """Select nodes by nvidia.com/gpu.product too, the label of NVIDIA's GPU feature discovery."""
    tolerations: list[Toleration] = Field(default_factory=list)
    """Taints the pods accept."""


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
    image: Line | None = None
    """OCI image that holds the weights, mounted in place of a claim; Kubernetes 1.35 or newer."""
    read_rate: Bytes | None = None
    """Bytes per second one node reads from it, such as 1G; sets the start-up budget."""
    compile_cache: bool = False
    """Keep on the claim what the engine compiles, by its version, GPU and layout."""


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
