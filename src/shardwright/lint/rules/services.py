"""Services: the one behind a StatefulSet's names, and the one clients use."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.bundle import Member
from shardwright.lint.command.invocation import EngineInvocation, host_of
from shardwright.lint.finding import Fix, Found, Rule
from shardwright.lint.fixes import add_key, replace_scalar
from shardwright.lint.groups import Group
from shardwright.lint.names import Kind
from shardwright.lint.reading import integer, text
from shardwright.lint.rules.lifecycle import waits_to_be_ready
from shardwright.lint.scene import Scene
from shardwright.lint.services import Service
from shardwright.lint.workload.kinds import Workload
from shardwright.model.finding import Severity

_HEADLESS = "https://kubernetes.io/docs/concepts/services-networking/service/#headless-services"


def _meeting_by_pod_name(scene: Scene) -> Iterator[tuple[Member, Workload, Service | None]]:
    """Yield members that join a StatefulSet's pod by name, with its governing Service."""
    for meeting in scene.meetings:
        found = meeting.resolution
        if found.kind is Kind.POD and found.workload and found.workload.kind == "StatefulSet":
            yield meeting.member, found.workload, found.service


def _service_name_without_service(scene: Scene) -> Iterator[Found]:
    joined = {id(workload) for _, workload, _ in _meeting_by_pod_name(scene)}
    is_one_file_of_many = len(scene.objects) == 1
    concerned = joined | {id(member.workload) for member in scene.members}
    for workload in scene.workloads:
        if workload.kind != "StatefulSet" or id(workload) not in concerned:
            continue
        name = text(workload.spec.get("serviceName"))
        if not name:
            continue
        if _find(scene, workload, name) is None:
            yield Found(
                object=workload.manifest,
                path=("spec", "serviceName"),
                severity=Severity.ERROR
                if id(workload) in joined and not is_one_file_of_many
                else Severity.WARNING,
                what=f"no Service {name} is given, so {workload.name}-0.{name} has no address",
            )


def _find(scene: Scene, workload: Workload, name: str) -> Service | None:
    spaces = (workload.namespace, "") if workload.namespace else ("",)
    found = (scene.services_by_name.get((space, name)) for space in spaces)
    return next((service for service in found if service is not None), None)


def _governing_not_headless(scene: Scene) -> Iterator[Found]:
    seen: set[int] = set()
    for _, workload, service in _meeting_by_pod_name(scene):
        if service is None or service.is_headless or id(service) in seen:
            continue
        seen.add(id(service))
        yield Found(
            object=service.object,
            path=("spec", "clusterIP"),
            what=f"Service {service.object.name} has a cluster IP, so its pods have no names",
            remedy=f"set clusterIP: None; {workload.name}-0 is then resolvable under it",
        )


def _governing_selects_nothing(scene: Scene) -> Iterator[Found]:
    seen: set[int] = set()
    for _, workload, service in _meeting_by_pod_name(scene):
        if service is None or id(service) in seen:
            continue
        seen.add(id(service))
        if not service.selects(workload.pods[0].labels):
            yield Found(
                object=service.object,
                path=("spec", "selector"),
                what=f"the selector does not match the pods of {workload.manifest.label}",
                remedy="select the labels of the StatefulSet's pod template",
            )


def _not_ready_addresses(scene: Scene) -> Iterator[Found]:
    seen: set[int] = set()
    for meeting in scene.meetings:
        found = meeting.resolution
        service = found.service
        if service is None or service.publishes_not_ready or id(service) in seen:
            continue
        seen.add(id(service))
        leads = scene.members_of(found.workload)
        blocks = any(waits_to_be_ready(lead) for lead in leads)
        edit = add_key(service.object, ("spec",), "publishNotReadyAddresses", "true")
        current = replace_scalar(service.object, ("spec", "publishNotReadyAddresses"), "true")
        edit = current or edit
        yield Found(
            object=service.object,
            path=("spec",),
            severity=Severity.ERROR if blocks else Severity.WARNING,
            what=(
                f"Service {service.object.name} answers only for ready pods"
                + (", and the leader is ready only after its peers joined" if blocks else "")
            ),
            fix=Fix(summary="set publishNotReadyAddresses: true", edits=(edit,)) if edit else None,
        )


def _no_service(scene: Scene) -> Iterator[Found]:
    for group in scene.groups:
        workload = group.lead.workload
        is_reachable = bool(scene.services_of(workload, group.lead.pod))
        if is_reachable or workload.is_managed or not _serves(group):
            continue
        yield Found(
            object=workload.manifest,
            path=group.lead.pod.path,
            what=f"no Service selects the pods that serve HTTP ({group.lead.container.name})",
        )


def _serves(group: Group) -> bool:
    return (
        group.lead.workload.kind not in {"Job", "CronJob", "Pod", "MPIJob"}
        and not group.lead.is_kuberay
        and not group.engine.is_headless
    )


def _port_mismatch(scene: Scene) -> Iterator[Found]:
    for group in scene.groups:
        port, pod = group.engine.port, group.lead.pod
        if port is None or pod.has_sidecars or not _serves(group):
            continue
        declared = group.lead.container.ports
        known = {port, *declared.values(), *_meeting_ports(group.engine), *_OTHER_PORTS}
        for service in scene.services_of(group.lead.workload, pod):
            if service.is_headless:
                continue
            for entry in service.ports:
                target = entry.target
                if isinstance(target, int) and target in known:
                    continue
                if isinstance(target, str) and (target in declared or not target):
                    continue
                if target is None:
                    continue
                yield Found(
                    object=service.object,
                    path=entry.path,
                    severity=Severity.WARNING if len(service.ports) > 1 else Severity.ERROR,
                    what=(
                        f"targetPort {target} is no port of {group.lead.container.name}:"
                        f" {group.engine.dialect.title} listens on {port}"
                    ),
                    remedy=f"set targetPort: {port}",
                )


def _meeting_ports(engine: EngineInvocation) -> Iterator[int | None]:
    """Yield the ports at which the engine's other ranks are told to find it."""
    address = engine.find(engine.dialect.address) if engine.dialect.address else None
    if address is not None and address.value:
        yield host_of(address.value)[1]
    master = engine.find(("--master-port",))
    if master is not None:
        yield integer(master.value)


_OTHER_PORTS = frozenset({6379, 8265, 10001, 8001, 8002, 29500, 29501, 20000, 5000})
"""Ports that programs beside the engine listen on: Ray, Triton, rendezvous."""


RULES = (
    Rule(
        code="service-name-without-service",
        severity=Severity.ERROR,
        title="serviceName names no Service",
        why=(
            "A StatefulSet does not make its governing Service. Without it pods have no DNS names,"
            " and ranks that join `name-0.serviceName` never find their leader."
        ),
        remedy="add a headless Service of that name, with publishNotReadyAddresses: true",
        references=(_HEADLESS,),
        check=_service_name_without_service,
    ),
    Rule(
        code="governing-service-not-headless",
        severity=Severity.ERROR,
        title="pod names under a Service that is not headless",
        why="Only a headless Service (clusterIP: None) gives its pods names of their own.",
        remedy="set clusterIP: None",
        references=(_HEADLESS,),
        check=_governing_not_headless,
    ),
    Rule(
        code="governing-service-selects-nothing",
        severity=Severity.ERROR,
        title="the governing Service selects other pods",
        why="A pod gets its name under a headless Service only while the Service selects it.",
        remedy="make the selector equal the pod template's labels",
        references=(_HEADLESS,),
        check=_governing_selects_nothing,
    ),
    Rule(
        code="not-ready-addresses-hidden",
        severity=Severity.ERROR,
        title="a rendezvous Service that hides pods until they are ready",
        why=(
            "DNS answers only with ready pods unless publishNotReadyAddresses is true. A leader"
            " that becomes ready after its workers joined is never found by them: a deadlock."
        ),
        remedy="set spec.publishNotReadyAddresses: true on the rendezvous Service",
        references=(_HEADLESS, "https://github.com/kubernetes-sigs/lws/issues/85"),
        check=_not_ready_addresses,
    ),
    Rule(
        code="no-service",
        severity=Severity.WARNING,
        title="no Service in front of the engine",
        why="Pods come and go with new addresses; clients reach them through a Service.",
        remedy="add a Service whose selector matches the serving pod's labels",
        references=("https://kubernetes.io/docs/concepts/services-networking/service/",),
        check=_no_service,
    ),
    Rule(
        code="service-port-mismatch",
        severity=Severity.ERROR,
        title="a Service that targets a port nobody listens on",
        why="Connections to the Service are refused although the engine is healthy.",
        remedy="target the port the engine listens on",
        references=("https://kubernetes.io/docs/concepts/services-networking/service/",),
        check=_port_mismatch,
    ),
)
