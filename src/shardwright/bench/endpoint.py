"""An endpoint found in a cluster: its Service, what it serves, its key, its weights, its start."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime

from shardwright.model.cluster import Cluster, Object, ObjectRef
from shardwright.model.errors import ShardwrightError, usage_error
from shardwright.model.running import Unreachable

INSTANCE, COMPONENT = "app.kubernetes.io/instance", "app.kubernetes.io/component"
OK, ANSWER_S = 200, 10.0
DCGM_LABELS = ("nvidia-dcgm-exporter", "dcgm-exporter")
_SERVED = re.compile(r"--served-model-name[= ]+[\"']?([^\s\"']+)")
_MODEL = re.compile(r"(?:vllm serve|--model(?:-path)?)[= ]+[\"']?([^\s\"']+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """One step of the start of the group, seconds after its pods were created."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where and what. weights: the path of the model in the pods; volumes and mounts: how a pod
    beside them sees it. api_key: how the leader gets its key, as an env entry; None without one.
    """

    name: str
    namespace: str
    service: ObjectRef
    port: int
    image: str
    model: str
    weights: str | None
    volumes: tuple[Object, ...]
    mounts: tuple[Object, ...]
    tolerations: tuple[Object, ...]
    node: str | None
    pull_secrets: tuple[Object, ...]
    api_key: Object | None
    startup: tuple[Startup, ...]

    @property
    def url(self) -> str:
        """Its address for pods."""
        return f"http://{self.service.name}.{self.namespace}.svc:{self.port}"


def find_endpoint(cluster: Cluster, name: str, namespace: str) -> Endpoint:
    """Find an endpoint that we deployed. Raises ShardwrightError if it cannot be loaded."""
    labels = {INSTANCE: name, COMPONENT: "serving"}
    services = cluster.list("v1", "Service", namespace=namespace, labels=labels)
    serving = [s for s in services if s["spec"].get("clusterIP") != "None"]
    pods = cluster.list("v1", "Pod", namespace=namespace, labels=labels)
    ready = [pod for pod in pods if _is_ready(pod)]
    if not serving or not pods:
        raise usage_error(
            "endpoint-not-found",
            f"there is no endpoint {name} in namespace {namespace}",
            remedy="shardwright list shows all; pass -n NAMESPACE or --context, a URL, or a spec",
        )
    selector = serving[0]["spec"].get("selector", {}).items()
    leaders = [pod for pod in ready if selector <= pod["metadata"].get("labels", {}).items()]
    if not leaders:
        raise ShardwrightError(
            code="endpoint-not-ready",
            what=f"no pod of {name} is ready to be loaded",
            remedy=f"shardwright status {name} -n {namespace} --watch",
        )
    return _endpoint(name, namespace, serving[0], leaders[0], pods)


def _endpoint(
    name: str, namespace: str, service: Object, leader: Object, pods: tuple[Object, ...]
) -> Endpoint:
    spec = leader["spec"]
    served, container, weights = _served(spec["containers"])
    mounts = [m for m in container.get("volumeMounts", []) if _holds(m, weights)]
    names = {m["name"] for m in mounts}
    keys = [e for e in container.get("env", []) if e["name"] in ("VLLM_API_KEY", "API_KEY")]
    port = next((p for p in service["spec"]["ports"] if p.get("name") == "http"), None)
    return Endpoint(
        name=name,
        namespace=namespace,
        service=ObjectRef(
            api_version="v1", kind="Service", name=service["metadata"]["name"], namespace=namespace
        ),
        port=int((port or service["spec"]["ports"][0])["port"]),
        image=container["image"],
        model=served or name,
        weights=weights,
        volumes=tuple(v for v in spec.get("volumes", []) if v["name"] in names),
        mounts=tuple(m | {"readOnly": True} for m in mounts),
        tolerations=tuple(spec.get("tolerations", [])),
        node=spec.get("nodeName"),
        pull_secrets=tuple(spec.get("imagePullSecrets", [])),
        api_key=keys[0] if keys else None,
        startup=startup(pods),
    )


def _served(containers: list[Object]) -> tuple[str | None, Object, str | None]:
    """The served name, the container that serves, and the model's path or id in it."""
    for container in containers:
        words = " ".join([*container.get("command", []), *container.get("args", [])])
        found, model = _SERVED.search(words), _MODEL.search(words)
        if found or model:
            path = model[1] if model else None
            return (found[1] if found else path), container, path
    return None, containers[0], None


def _holds(mount: Object, path: str | None) -> bool:
    return path is not None and path.startswith(mount["mountPath"].rstrip("/") + "/")


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def startup(pods: tuple[Object, ...]) -> tuple[Startup, ...]:
    """Say how long the pods waited for a node, prepared, and took to be ready, the slowest of all.

    Seconds after the first pod was created; from the conditions that Kubernetes keeps of a pod.
    """
    created = [_instant(pod["metadata"].get("creationTimestamp")) for pod in pods]
    known = [at for at in created if at is not None]
    if not known:
        return ()
    zero = min(known)
    steps, before = [], 0.0
    names = (("PodScheduled", "waiting for nodes"), ("Initialized", "preparing"),
             ("Ready", "loading and warming up"))  # fmt: skip
    for condition, name in names:
        instants = [_since(pod, condition, zero) for pod in pods]
        found = [at for at in instants if at is not None]
        if found and max(found) >= before:
            steps.append(Startup(name=name, start_s=before, end_s=max(found)))
            before = max(found)
    return tuple(steps)


def _since(pod: Object, condition: str, zero: datetime) -> float | None:
    for each in pod.get("status", {}).get("conditions", []):
        if each["type"] == condition and each["status"] == "True":
            at = _instant(each.get("lastTransitionTime"))
            return None if at is None else (at - zero).total_seconds()
    return None


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def served_models(cluster: Cluster, endpoint: Endpoint) -> tuple[str, ...]:
    """Ask what is served, through the API server; empty where it does not say, as with a key."""
    answer = _asked(cluster, endpoint, "/v1/models")
    models = answer.get("data")
    found = models if isinstance(models, list) else []
    return tuple(str(each["id"]) for each in found if isinstance(each, dict) and "id" in each)


def engine_version(cluster: Cluster, endpoint: Endpoint) -> str:
    """Ask vLLM's /version through the API server; empty where there is none."""
    version = _asked(cluster, endpoint, "/version").get("version")
    return f"vLLM {version}" if isinstance(version, str) else ""


def _asked(cluster: Cluster, endpoint: Endpoint, path: str) -> Object:
    url = f"{cluster.proxy_base(endpoint.service, str(endpoint.port))}{path}"
    try:
        reply = cluster.http().send(url, body=None, key=None, timeout_s=ANSWER_S)
        answer = json.loads(reply.body) if reply.status == OK else {}
    except (Unreachable, ShardwrightError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def find_dcgm(cluster: Cluster) -> str | None:
    """Return the address of a DCGM exporter's Service anywhere in the cluster, if there is one."""
    for label in DCGM_LABELS:
        for key in ("app", "app.kubernetes.io/name"):
            for service in cluster.list("v1", "Service", labels={key: label}):
                meta, ports = service["metadata"], service["spec"].get("ports") or []
                if ports:
                    host = f"{meta['name']}.{meta['namespace']}.svc"
                    return f"http://{host}:{ports[0]['port']}/metrics"
    return None
