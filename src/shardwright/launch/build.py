"""From a request and its plan to the launch plan. The entry point of this room."""

from __future__ import annotations

from functools import lru_cache

from shardwright.engines import Engine, Refusal, Serve, find_engine
from shardwright.facts.products import PRODUCT_LABEL, product
from shardwright.launch.arguments import check_extra_args
from shardwright.launch.budgets import derive_budgets
from shardwright.launch.contradictions import contradiction
from shardwright.launch.images import image_of, mirrored
from shardwright.launch.members import members_of, weights_path
from shardwright.launch.monitoring import monitoring
from shardwright.launch.scaling import scaling
from shardwright.launch.ssh import ssh_secrets
from shardwright.launch.tasks import (
    claim_name,
    download_script,
    download_secrets,
    download_task,
    needs_download,
)
from shardwright.model.errors import ExitCode, ShardwrightError, usage_error
from shardwright.model.launch import (
    Endpoint,
    Group,
    LaunchPlan,
    OnMemberLoss,
    Placement,
    Rendezvous,
    Route,
    SecretRef,
    Task,
)
from shardwright.model.monitoring import Metrics
from shardwright.model.plan import Plan
from shardwright.model.request import Access, ClusterRef, Mechanism, Request
from shardwright.model.shape import ModelShape
from shardwright.model.text import SecretValue
from shardwright.model.units import GIB
from shardwright.model.volumes import Claim


def build_launch_plan(request: Request, shape: ModelShape, plan: Plan) -> LaunchPlan:
    """Decide who runs what. Raises ShardwrightError if the engine cannot use the mechanism."""
    engine = find_engine(request.engine.name)
    version = request.engine.version or engine.default_version
    num_members = max(1, plan.num_nodes // plan.layout.replicas)
    mechanism = request.launch or _default_mechanism(num_members)
    rendezvous = _meet(engine, version, mechanism, num_members)
    _refuse(engine, version, request)
    stored = checkpoint_bytes(shape)
    watched = monitoring(request, engine, version)
    scaled = scaling(request, mechanism, plan.layout.replicas, watched)
    max_replicas = scaled.max_replicas if scaled else plan.layout.replicas
    claim = None if request.storage.image else _claim(request, num_members * max_replicas, stored)
    image = image_of(request, engine, version)
    refused = contradiction(request, mechanism, num_members, max_replicas, image)
    if refused is not None:
        raise refused
    serve = Serve(
        request=request,
        plan=plan,
        version=version,
        mechanism=mechanism,
        rendezvous=rendezvous,
        num_members=num_members,
        weights_path=weights_path(request),
        budgets=derive_budgets(
            checkpoint_bytes=stored,
            read_bytes_per_s=request.storage.read_bytes_per_s,
            num_members=num_members,
            is_weights_image=request.storage.image is not None,
        ),
        shape=shape,
        checkpoint_bytes=stored,
        image=image,
        claim=claim.name if claim else None,
    )
    tasks = _tasks(serve, engine, claim)
    return LaunchPlan(
        name=request.name,
        namespace=request.namespace,
        engine=engine.name,
        engine_version=version,
        model=request.model.id,
        served_name=request.model.id,
        mechanism=mechanism,
        group=Group(
            members=members_of(serve, engine),
            rendezvous=rendezvous,
            on_member_loss=OnMemberLoss.RECREATE_GROUP,
            gang=request.scheduling.gang,
            topology_domain=request.cluster.topology_key,
        ),
        replicas=plan.layout.replicas,
        endpoints=(_endpoint(request, engine, version),),
        budgets=serve.budgets,
        placement=_placement(request, plan.num_nodes),
        tasks=tasks,
        secrets=(*_secrets(request), *ssh_secrets(serve)),
        claims=(claim,) if claim else (),
        configs=(
            *engine.configs(serve),
            *((download_script(request),) if needs_download(request) else ()),
        ),
        external_configs=(request.network.ca_bundle,) if request.network.ca_bundle else (),
        labels=request.labels,
        monitoring=watched,
        scaling=scaled,
    )


def _tasks(serve: Serve, engine: Engine, claim: Claim | None) -> tuple[Task, ...]:
    """List what is done before serving: the download, then what the engine makes of it."""
    request, own = serve.request, engine.tasks(serve)
    if claim is None:
        if own:
            raise usage_error(
                "weights-read-only",
                f"{engine.name} writes beside the weights, and an image cannot be written to",
                remedy="leave spec.storage.image out, or choose another engine",
            )
        return ()
    by = mirrored(request, request.images.download) if request.images.download else serve.image
    download = (
        (download_task(request, by, claim, serve.budgets, serve.weights_path),)
        if needs_download(request)
        else ()
    )
    return (*download, *own)


@lru_cache(maxsize=16)
def checkpoint_bytes(shape: ModelShape) -> int:
    """Bytes of the stored weights, without scales."""
    default = {"float32": 32}.get(shape.dtype, 16)
    layers = (t for layer in (*shape.layers, *shape.mtp) for t in layer.tensors)
    bits = sum(
        t.num_elements * (t.bits or (t.scheme.weight_bits if t.scheme else default))
        for t in (*shape.first, *shape.last, *shape.vision, *layers)
    )
    return bits // 8


def _default_mechanism(num_members: int) -> Mechanism:
    return Mechanism.LWS if num_members > 1 else Mechanism.DEPLOYMENT


def _meet(engine: Engine, version: str, mechanism: Mechanism, num_members: int) -> Rendezvous:
    meeting = engine.meet(version, mechanism, num_members)
    if isinstance(meeting, Refusal):
        raise ShardwrightError(
            code=meeting.code,
            what=f"{engine.name} {version} cannot be launched by {mechanism.value}",
            cause=meeting.reason,
            remedy="change spec.launch, or set it to auto",
            exit_code=ExitCode.USAGE,
        )
    return meeting


def _refuse(engine: Engine, version: str, request: Request) -> None:
    check_extra_args(engine.name, version, request.engine.extra_args)
    for refusal in engine.refuse_request(request, version):
        raise ShardwrightError(
            code=refusal.code,
            what=f"{engine.name} {version} cannot do what the spec asks",
            cause=refusal.reason,
            remedy="change the spec, or choose another engine",
            exit_code=ExitCode.USAGE,
        )


def _endpoint(request: Request, engine: Engine, version: str) -> Endpoint:
    secret = request.access.api_key_secret
    shown = engine.metrics(version) if engine.metrics else Metrics()
    in_flight = (shown.running, shown.waiting) if shown.running and shown.port == "http" else ()
    return Endpoint(
        name="http",
        process=engine.name,
        port="http",
        health_path=engine.health_path,
        gauges=tuple(gauge for gauge in in_flight if gauge),
        api_key=SecretValue(secret, "api-key") if secret else None,
        route=_route(request.access),
    )


def _route(access: Access) -> Route | None:
    if access.route_host is None:
        return None
    namespace, _, name = (access.gateway or "").rpartition("/")
    return Route(
        host=access.route_host,
        gateway=(namespace or None, name) if name else None,
        ingress_class=access.ingress_class,
        tls_secret=access.tls_secret,
    )


def _claim(request: Request, num_pods: int, stored: int) -> Claim:
    storage = request.storage
    return Claim(
        name=claim_name(request),
        is_ours=storage.claim is None,
        access_mode=storage.access_mode or ("ReadWriteMany" if num_pods > 1 else "ReadWriteOnce"),
        size_bytes=storage.size_bytes or -(-stored * 12 // 10 // GIB) * GIB,
        storage_class=storage.storage_class,
    )


def _placement(request: Request, num_nodes: int) -> Placement:
    cluster = request.cluster
    return Placement(
        gpu_resource=cluster.gpu_resource,
        gpu_product=cluster.gpu,
        node_selector=node_selector(cluster),
        tolerations=tuple(
            tuple(
                (name, value)
                for name, value in (
                    ("key", t.key),
                    ("operator", t.operator),
                    ("value", t.value),
                    ("effect", t.effect),
                )
                if value is not None
            )
            for t in cluster.tolerations
        ),
        host_network=cluster.host_network,
        queue=request.scheduling.queue,
        priority_class=request.scheduling.priority_class,
        pull_secrets=request.images.pull_secrets,
        kubernetes=request.scheduling.kubernetes,
        pre_pull_nodes=num_nodes if request.images.pre_pull == "job" else 0,
    )


def node_selector(cluster: ClusterRef) -> tuple[tuple[str, str], ...]:
    """Labels of the nodes: the user's own, and the GPU's where asked for."""
    of_gpu = product(cluster.gpu) if cluster.gpu_product_selector else None
    own = ((PRODUCT_LABEL, of_gpu),) if of_gpu else ()
    return tuple(sorted((*own, *cluster.node_selector)))


def _secrets(request: Request) -> tuple[SecretRef, ...]:
    key = request.access.api_key_secret
    return (*((SecretRef(name=key, keys=("api-key",)),) if key else ()), *download_secrets(request))
