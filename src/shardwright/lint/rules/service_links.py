"""Variables that Kubernetes makes of Services, against those that engines read."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.bundle import Member
from shardwright.lint.command.dialects import Engine
from shardwright.lint.finding import Found, Rule
from shardwright.lint.fixes import set_key
from shardwright.lint.scene import Scene
from shardwright.lint.services import Service
from shardwright.model.finding import Severity

_VARIABLE = "VLLM_PORT"
_SERVICE = "vllm"
"""Of a Service `vllm` Kubernetes makes VLLM_PORT=tcp://ADDRESS:PORT."""


def _vllm_port(scene: Scene) -> Iterator[Found]:
    seen: set[int] = set()
    for member, engine in scene.engines:
        service = _service_named_vllm(scene, member)
        is_set = _VARIABLE in member.container.env
        if engine.engine is not Engine.VLLM or service is None or is_set or id(member) in seen:
            continue
        if member.pod.data.get("enableServiceLinks") is False or member.workload.is_managed:
            continue
        seen.add(id(member))
        yield Found(
            object=member.object,
            path=member.pod.path,
            severity=Severity.WARNING if member.container.has_env_from else Severity.ERROR,
            what=(
                f"Service {service.object.name} gives container {member.container.name}"
                f" {_VARIABLE}=tcp://..., which vLLM reads as a number"
            ),
            fix=set_key(member.object, member.pod.path, "enableServiceLinks", "false"),
        )


def _service_named_vllm(scene: Scene, member: Member) -> Service | None:
    """Find a Service of that name with an address; a headless one makes no variables."""
    service = scene.services_by_name.get((member.workload.namespace, _SERVICE))
    return None if service is None or service.is_headless else service


RULES = (
    Rule(
        code="service-sets-vllm-port",
        severity=Severity.ERROR,
        title="a Service named vllm",
        why=(
            "Kubernetes tells every pod of a namespace where its Services are, in variables named"
            " after them. A Service named vllm becomes VLLM_PORT=tcp://10.0.0.1:8000, vLLM's own"
            " variable for a port number: every pod that starts after the Service ends with"
            " `VLLM_PORT appears to be a URI`."
        ),
        remedy="set enableServiceLinks: false in the pod's spec, or give the Service another name",
        references=(
            "https://docs.vllm.ai/en/stable/configuration/env_vars/",
            "https://github.com/vllm-project/vllm/issues/34199",
            "https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables",
        ),
        check=_vllm_port,
    ),
)
