"""Probes against what the engine answers, and timers against each other."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.launch.budgets import derive_budgets
from shardwright.lint.bundle import Member
from shardwright.lint.command.dialects import Engine
from shardwright.lint.command.invocation import EngineInvocation
from shardwright.lint.finding import Found, Rule
from shardwright.lint.modelfacts import model_facts
from shardwright.lint.reading import integer
from shardwright.lint.scene import Scene
from shardwright.lint.workload.container import Probe, ProbeKind
from shardwright.model.finding import Severity
from shardwright.model.units import GB, gib
from shardwright.model.version import Version

_PROBES = "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/"
_JOBS = frozenset({"Job", "CronJob"})
_FASTEST_BYTES_PER_S = 10 * GB
"""No storage behind a pod reads faster; a budget that needs more cannot be met."""
_SHORTEST_START_S = 120
"""Compilation and graph capture alone take this long, whatever the model; assumed."""
_ENGINE_READY_S = 600
"""Default of VLLM_ENGINE_READY_TIMEOUT_S. Source: vllm/envs.py of 0.32.0."""
_READY_TIMEOUT_SINCE = Version((0, 11, 1))
_RAY_PORTS = frozenset({6379, 8076, 8265, 10001, 52365})


def _serving(scene: Scene) -> Iterator[tuple[Member, EngineInvocation]]:
    """Yield members whose engine answers HTTP."""
    for member in scene.members:
        engine = member.engine
        if engine is None or engine.is_headless or member.workload.kind in _JOBS:
            continue
        yield member, engine


def _probes_missing(scene: Scene) -> Iterator[Found]:
    for group in scene.groups:
        member = group.lead
        probes = member.container.probes
        has_any = ProbeKind.READINESS in probes or ProbeKind.STARTUP in probes
        if has_any or member.workload.is_managed or member.workload.kind in {*_JOBS, "Pod"}:
            continue
        yield Found(
            object=member.object,
            path=member.container.path,
            what=f"container {member.container.name} has neither readiness nor startup probe",
            remedy=(
                f"add a readinessProbe and a startupProbe on {group.engine.dialect.health_path},"
                f" port {group.engine.port or group.engine.dialect.port}"
            ),
        )


def _budget_short(scene: Scene) -> Iterator[Found]:
    for member, engine in _serving(scene):
        probes = member.container.probes
        first = probes.get(ProbeKind.STARTUP) or probes.get(ProbeKind.LIVENESS)
        if first is None or first.method not in {"httpGet", "tcpSocket", "grpc"}:
            continue
        facts = model_facts(engine.model)
        if facts is None:
            if first.budget_s < _SHORTEST_START_S and first.kind is ProbeKind.LIVENESS:
                yield _killed_at(
                    member, first, f"before any engine is up ({_SHORTEST_START_S} s and more)"
                )
            continue
        need = derive_budgets(
            checkpoint_bytes=facts.weight_bytes,
            read_bytes_per_s=None,
            num_members=2 if engine.asks_for_nodes or member.command.rays else 1,
        ).startup_s
        fastest = facts.weight_bytes / _FASTEST_BYTES_PER_S
        if first.budget_s < need:
            why = f"while {gib(facts.weight_bytes)} of weights load: allow {need} s"
            is_sure = first.budget_s < fastest
            yield _killed_at(member, first, why, need, is_sure=is_sure)


def _killed_at(
    member: Member, probe: Probe, why: str, need: int | None = None, *, is_sure: bool = False
) -> Found:
    advice = ""
    if need is not None:
        advice = f"add a startupProbe with periodSeconds: 10 and failureThreshold: {-(-need // 10)}"
    return Found(
        object=member.object,
        path=probe.path,
        severity=Severity.ERROR if is_sure else Severity.WARNING,
        what=f"the {probe.kind.value} kills the container after {probe.budget_s} s, {why}",
        remedy=advice,
    )


def _timers_disagree(scene: Scene) -> Iterator[Found]:
    for member, engine in _serving(scene):
        startup = member.container.probes.get(ProbeKind.STARTUP)
        is_recent = engine.version is not None and engine.version >= _READY_TIMEOUT_SINCE
        if startup is None or engine.engine is not Engine.VLLM or not is_recent:
            continue
        name = "VLLM_ENGINE_READY_TIMEOUT_S"
        set_to = integer(member.container.env_value(name))
        is_set = name in member.container.env or member.container.has_env_from
        inner = set_to if is_set else _ENGINE_READY_S
        if inner is None or inner == startup.budget_s:
            continue
        if inner < startup.budget_s:
            yield Found(
                object=member.object,
                path=startup.path,
                what=(
                    f"the startup probe allows {startup.budget_s} s, but vLLM itself gives up"
                    f" after {inner} s ({name}{'' if is_set else ', its default'})"
                ),
                remedy=f"set {name} to {startup.budget_s} or more",
            )
        elif is_set and inner > startup.budget_s * 2:
            yield Found(
                object=member.object,
                path=startup.path,
                what=(
                    f"{name} allows {inner} s, but the startup probe kills the container after"
                    f" {startup.budget_s} s"
                ),
                remedy=f"raise failureThreshold to {-(-inner // startup.period_s)}",
            )


def _http_probe_without_http(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        if not _has_no_http(member):
            continue
        for probe in member.container.probes.values():
            port = probe.port
            if isinstance(port, str):
                port = member.container.ports.get(port)
            if probe.method not in {"httpGet", "tcpSocket", "grpc"} or port in _RAY_PORTS:
                continue
            yield Found(
                object=member.object,
                path=probe.path,
                what=(
                    f"the {probe.kind.value} asks port {probe.port} of container"
                    f" {member.container.name}, which serves no HTTP"
                ),
            )


def _has_no_http(member: Member) -> bool:
    """True if every program that may run here is a rank without HTTP."""
    command = member.command
    if command.is_opaque or command.is_empty:
        return False
    if command.engines:
        return all(engine.is_headless for engine in command.engines)
    join = member.ray_join
    return join is not None and not join.is_conditional and member.ray_head is None and join.blocks


def _port_mismatch(scene: Scene) -> Iterator[Found]:
    for member, engine in _serving(scene):
        if len(member.command.engines) > 1 or engine.port is None or engine.is_conditional:
            continue
        if member.pod.has_sidecars or member.command.is_opaque:
            continue
        others = {8001, 8002} if engine.engine is Engine.TRITON else set()
        for probe in member.container.probes.values():
            port = probe.port
            if isinstance(port, str):
                if port not in member.container.ports:
                    yield Found(
                        object=member.object,
                        path=probe.path,
                        what=f"the {probe.kind.value} asks port {port!r}, which is not declared",
                        remedy=f"name port {engine.port} {port} under ports",
                    )
                    continue
                port = member.container.ports[port]
            is_known = port in {engine.port, *others} or port in _RAY_PORTS
            if probe.method not in {"httpGet", "tcpSocket"} or port is None or is_known:
                continue
            yield Found(
                object=member.object,
                path=probe.path,
                what=(
                    f"the {probe.kind.value} asks port {port};"
                    f" {engine.dialect.title} listens on {engine.port}"
                ),
                remedy=f"probe port {engine.port}",
            )


RULES = (
    Rule(
        code="probes-missing",
        severity=Severity.WARNING,
        title="an engine without readiness or startup probe",
        why=(
            "Loading takes minutes. Without a probe the pod counts as ready at once, and clients"
            " get connection errors until the engine listens."
        ),
        remedy="add a readinessProbe and a startupProbe on the engine's health path",
        references=(_PROBES,),
        check=_probes_missing,
    ),
    Rule(
        code="probe-budget-short",
        severity=Severity.ERROR,
        title="a probe that kills the engine while it loads",
        why=(
            "A liveness probe without a startup probe, or a startup probe with too few failures,"
            " restarts the container before the weights are loaded, for ever. The time is derived"
            " as for our own deployments: weights at 1 GB/s, compilation, graph capture, a margin."
        ),
        remedy="add a startupProbe whose periodSeconds x failureThreshold covers the load",
        references=(_PROBES, "https://github.com/kserve/kserve/issues/5062"),
        check=_budget_short,
    ),
    Rule(
        code="timers-disagree",
        severity=Severity.WARNING,
        title="an inner timer that ends before or long after the probe around it",
        why=(
            "vLLM's front end waits VLLM_ENGINE_READY_TIMEOUT_S (600 s) for its engine. Where the"
            " startup probe allows more, the engine ends itself first; where it allows less, the"
            " kubelet does."
        ),
        remedy="set both from one budget",
        references=(_PROBES, "https://docs.vllm.ai/en/stable/configuration/env_vars/"),
        check=_timers_disagree,
    ),
    Rule(
        code="http-probe-on-rank-without-http",
        severity=Severity.ERROR,
        title="a network probe on a rank that has no HTTP port",
        why=(
            "Headless vLLM ranks and Ray workers open no HTTP port. A readiness probe on one never"
            " succeeds; a liveness or startup probe restarts it for ever, and the group with it."
        ),
        remedy="remove the probe, or use an exec probe that checks the process or the leader",
        references=(_PROBES,),
        check=_http_probe_without_http,
    ),
    Rule(
        code="probe-port-mismatch",
        severity=Severity.ERROR,
        title="a probe on a port the engine does not listen on",
        why="The probe never succeeds: the pod is never ready, or is restarted for ever.",
        remedy="probe the engine's own port",
        references=(_PROBES,),
        check=_port_mismatch,
    ),
)
