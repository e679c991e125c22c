"""Remote execution and secrets in the open."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shardwright.lint.bundle import Member
from shardwright.lint.finding import Found, Rule
from shardwright.lint.reading import dig, mapping, string_map
from shardwright.lint.scene import Scene
from shardwright.lint.services import Service
from shardwright.lint.shell.values import is_known
from shardwright.model.finding import Severity

_RAY = "https://docs.ray.io/en/latest/ray-security/index.html"
_RAY_PORTS = frozenset({6379, 8265, 10001})
"""GCS, dashboard and job API, Ray client: each runs code for whoever connects."""
_RAY_PORT_NAMES = frozenset({"gcs", "gcs-server", "dashboard", "client", "redis"})
_SECRET_NAME = re.compile(r"(?:^|_)(?:TOKEN|API_?KEY|SECRET(?:_?KEY)?|PASSWORD|ACCESS_KEY)$")
_NOT_SECRET = re.compile(
    r"(?:MAX|NUM|TOKENIZER|COUNT|PAD|EOS|BOS|PATH|FILE|DIR|NAME)", re.IGNORECASE
)
_TOKEN = re.compile(r"\b(?:hf_[A-Za-z0-9]{20,}|nvapi-[\w-]{20,}|sk-[A-Za-z0-9]{20,})\b")
_KEY_FLAGS = ("--api-key", "--admin-api-key", "--hf-token", "--ray-address-token")
_EMPTY_VALUES = frozenset({"", "none", "null", "EMPTY", "empty", "dummy", "token-abc123"})


def _runs_ray(member: Member) -> bool:
    return bool(member.command.rays) or member.is_kuberay


def _ray_exposed(scene: Scene) -> Iterator[Found]:
    for service in scene.services:
        if not service.is_external:
            continue
        for workload in scene.workloads_behind(service):
            members = [m for m in scene.members_of(workload) if _runs_ray(m)]
            if not members and not workload.kind.startswith("Ray"):
                continue
            yield from _exposed_ports(service)
            break
    for workload in scene.workloads:
        if workload.kind not in {"RayCluster", "RayService", "RayJob"}:
            continue
        for base in (("spec",), ("spec", "rayClusterConfig"), ("spec", "rayClusterSpec")):
            head = mapping(dig(workload.manifest.data, *base, "headGroupSpec"))
            if head.get("serviceType") in {"LoadBalancer", "NodePort"}:
                yield Found(
                    object=workload.manifest,
                    path=(*base, "headGroupSpec", "serviceType"),
                    what=f"the Ray head of {workload.name} is open outside the cluster",
                )


def _exposed_ports(service: Service) -> Iterator[Found]:
    for entry in service.ports:
        is_named = isinstance(entry.target, str) and entry.target in _RAY_PORT_NAMES
        if entry.port in _RAY_PORTS or entry.target in _RAY_PORTS or is_named:
            yield Found(
                object=service.object,
                path=entry.path,
                what=(
                    f"{service.type} Service {service.object.name} opens Ray's port"
                    f" {entry.target or entry.port} outside the cluster"
                ),
            )


def _ray_without_policy(scene: Scene) -> Iterator[Found]:
    selectors: dict[str, list[dict[str, str]]] = {}
    for obj in scene.by_kind.get("NetworkPolicy", ()):
        selected = string_map(dig(obj.data, "spec", "podSelector", "matchLabels"))
        selectors.setdefault(obj.namespace, []).append(selected)
    seen: set[int] = set()
    for member in scene.members:
        if not _runs_ray(member) or id(member.workload) in seen:
            continue
        seen.add(id(member.workload))
        labels = member.pod.labels
        is_closed = any(
            all(
                labels.get(name) == value or name.startswith("ray.io/")
                for name, value in selector.items()
            )
            for selector in selectors.get(member.workload.namespace, ())
        )
        if not is_closed:
            yield Found(
                object=member.object,
                path=member.pod.path,
                what=(
                    f"no NetworkPolicy selects {member.object.label}: every pod of the cluster can"
                    " run code on its Ray nodes"
                ),
            )


def _secret_in_plain_text(scene: Scene) -> Iterator[Found]:
    for workload in scene.workloads:
        for pod in workload.pods:
            for container in (*pod.containers, *pod.init_containers):
                for variable in container.env.values():
                    value = variable.value
                    if value is None or not _looks_secret(variable.name, value):
                        continue
                    yield Found(
                        object=workload.manifest,
                        path=variable.path,
                        what=f"{variable.name} of container {container.name} is in plain text",
                    )


def _looks_secret(name: str, value: str) -> bool:
    if _TOKEN.search(value):
        return True
    if value in _EMPTY_VALUES or value.startswith(("$", "/", "<")) or not is_known(value):
        return False
    if not _SECRET_NAME.search(name) or _NOT_SECRET.search(name):
        return False
    return len(value) >= 6 and value.lower() not in {"true", "false"}


def _secret_in_argv(scene: Scene) -> Iterator[Found]:
    for member, engine in scene.engines:
        for flag in engine.flags:
            if flag.name not in _KEY_FLAGS or not flag.value:
                continue
            if flag.value in _EMPTY_VALUES:
                continue
            yield Found(
                object=engine.site.object,
                path=engine.site.path,
                near=flag.typed,
                what=(
                    f"{flag.typed} of container {member.container.name} puts the key into the"
                    " process list" + ("" if not is_known(flag.value) else " and the manifest")
                ),
                remedy=_key_remedy(engine.engine.value),
            )


def _key_remedy(engine: str) -> str:
    if engine == "vllm":
        return "set VLLM_API_KEY from a Secret (env.valueFrom.secretKeyRef) instead"
    return "keep the server inside the cluster and check keys in a gateway before it"


def _remote_code(scene: Scene) -> Iterator[Found]:
    for _, engine in scene.engines:
        flag = engine.find(("--trust-remote-code",))
        if flag is not None and (flag.value or "true").lower() != "false":
            yield Found(
                object=engine.site.object,
                path=engine.site.path,
                near=flag.typed,
                what=f"code from {engine.model or 'the model'}'s repository runs in the server",
            )


def _config_secrets(scene: Scene) -> Iterator[Found]:
    for obj in scene.by_kind.get("ConfigMap", ()):
        for key, value in mapping(obj.data.get("data")).items():
            if isinstance(value, str) and len(value) < 100_000 and _TOKEN.search(value):
                yield Found(object=obj, path=("data", key), what=f"key {key} holds an access token")


def _plain_secrets(scene: Scene) -> Iterator[Found]:
    yield from _secret_in_plain_text(scene)
    yield from _config_secrets(scene)


RULES = (
    Rule(
        code="ray-exposed",
        severity=Severity.ERROR,
        title="Ray reachable from outside the cluster",
        why=(
            "Ray has no authentication of its own: whoever reaches its GCS, dashboard or client"
            " port runs code as the engine's user. Exposed clusters are scanned for and taken over."
        ),
        remedy="make the Service ClusterIP, and reach the dashboard with kubectl port-forward",
        references=(_RAY,),
        check=_ray_exposed,
    ),
    Rule(
        code="ray-without-network-policy",
        severity=Severity.WARNING,
        title="no NetworkPolicy around Ray",
        why=(
            "Inside the cluster, too, whoever reaches Ray's ports runs code. A NetworkPolicy that"
            " admits only the group's own pods closes them (not for host-network pods)."
        ),
        remedy=(
            "add a NetworkPolicy that admits all ports from the group's labels, and the HTTP port"
            " alone from clients"
        ),
        references=(_RAY,),
        check=_ray_without_policy,
    ),
    Rule(
        code="secret-in-plain-text",
        severity=Severity.WARNING,
        title="a token or key in plain text",
        why="Whoever reads the manifest, its history or the object in the cluster has the key.",
        remedy="keep it in a Secret and refer to it: env.valueFrom.secretKeyRef",
        references=("https://kubernetes.io/docs/concepts/configuration/secret/",),
        check=_plain_secrets,
    ),
    Rule(
        code="secret-in-argv",
        severity=Severity.WARNING,
        title="an API key as an argument",
        why="Arguments are visible to every process of the node and in kubectl describe.",
        remedy="pass it through the environment, from a Secret",
        references=("https://kubernetes.io/docs/concepts/configuration/secret/",),
        check=_secret_in_argv,
    ),
    Rule(
        code="trust-remote-code",
        severity=Severity.WARNING,
        title="--trust-remote-code",
        why=(
            "Python files of the model's repository run inside the server, with its token and its"
            " network. Most models no longer need it."
        ),
        remedy="remove the flag; if the model needs it, pin --revision and --code-revision",
        references=("https://docs.vllm.ai/en/stable/usage/security/",),
        check=_remote_code,
    ),
)
