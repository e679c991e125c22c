"""The user's file, field by field: strict, documented, the source of the JSON Schema.

Read by `shardwright.spec.load`, which turns it into a `Request` at once; nothing else sees these
types. The text below a field is its description in editors' completion (`spec/schema.py`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from shardwright.spec.serving import Bench, Engine, Model, Parallelism, Slo, Workload
from shardwright.spec.site import (
    Access,
    Autoscaling,
    Cluster,
    Images,
    Monitoring,
    Network,
    Scheduling,
    Storage,
)
from shardwright.spec.strict import KubeName, Name, Strict


class Metadata(Strict):
    """Name and namespace of the endpoint."""

    name: Name | None = None
    """Name of the endpoint; the model's name if left out."""
    namespace: KubeName = "default"
    """Kubernetes namespace."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels added to every object."""


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
