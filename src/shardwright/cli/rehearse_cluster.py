"""The shell of `shardwright rehearse --cluster`: apply the small plan, prove it, remove it all."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shardwright.cli.cluster_drill import Group, drilled
from shardwright.cli.holding import now, whoever
from shardwright.cli.plan import draw
from shardwright.cli.progress import Progress
from shardwright.cli.rehearse_report import publish
from shardwright.cli.render import launch_plan
from shardwright.cli.resolve import resolve
from shardwright.cli.rollout_output import Teller
from shardwright.cli.staging import shrunk
from shardwright.deploy.dry_run import planned_changes
from shardwright.deploy.inventory import COMPONENT, INSTANCE
from shardwright.deploy.outcome import Outcome, Result
from shardwright.deploy.preflight import gpu_shortage, preflight
from shardwright.deploy.progress import pod_progress
from shardwright.deploy.rollout import Rollout
from shardwright.deploy.target import target_of
from shardwright.deploy.verification import Verifier
from shardwright.diagnose.answer import as_text
from shardwright.drive.clock import SystemClock
from shardwright.drive.kube import KubeCluster, connect
from shardwright.drive.kubectl import Kubectl
from shardwright.model.cluster import Object, ObjectRef
from shardwright.model.errors import ExitCode, ShardwrightError, usage_error
from shardwright.model.finding import Severity
from shardwright.rehearse.change import Substitution
from shardwright.rehearse.cluster_drill import Aftermath
from shardwright.rehearse.events import Stage
from shardwright.rehearse.namespace import Holder, acquire, await_removed, release
from shardwright.rehearse.on_cluster import ClusterScene, cluster_scene
from shardwright.rehearse.report import Report, layout_words, not_proved_by, proved_by
from shardwright.render.names import object_name
from shardwright.render.objects import kubernetes_objects
from shardwright.verify.attempts import Check
from shardwright.verify.client import Client
from shardwright.verify.identity import RankMatch
from shardwright.verify.proof import Prover

if TYPE_CHECKING:
    from shardwright.cli.resolve import Resolved


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which cluster, and the image that holds the CPU engine and this package."""

    kubeconfig: Path | None
    context: str | None
    image: str | None
    out: Path
    with_drill: bool = False
    take_over: bool = False


def run(spec: Path, ranks: tuple[int, int] | None, where: Where, output: str) -> int:
    """Rehearse, write the report and print it; 1 if something did not hold."""
    resolved = resolve(spec)
    report = rehearse_on_cluster(resolved, spec.parent, ranks, where, Progress())
    folder = where.out / report.name / time.strftime("%Y%m%d-%H%M%S")
    publish(report, draw(resolved, launch_plan(spec), "mermaid"), folder, output)
    return ExitCode.DONE if report.passed else ExitCode.VERDICT_NO


def rehearse_on_cluster(
    resolved: Resolved, folder: Path, ranks: tuple[int, int] | None, where: Where,
    progress: Progress,
) -> Report:  # fmt: skip
    """Rehearse a spec on a cluster; its namespace is removed whatever happens."""
    scene, vocab_size = scene_of(resolved, folder, ranks, where)
    clock = SystemClock()
    began = clock.now()
    with connect(where.kubeconfig, where.context) as cluster:
        version = cluster.server_version()
        planned = scene.with_planned_gpus()
        if not gpu_shortage(cluster, planned.plan):
            scene = planned
        with own_namespace(cluster, scene, progress, take_over=where.take_over) as uid:
            progress.show(Stage(name="start", title=f"Applying {layout_words(scene.plan)}"))
            outcome = start_group(cluster, scene)
            progress.show(Stage(name="prove", title="Asking the endpoint through its Service"))
            checks = tuple(_checks(cluster, scene, vocab_size, progress))
            matches = _identify(cluster, scene)
            nodes = _node_words(cluster, scene, version)
            aftermaths = _drill(cluster, scene, where, progress) if where.with_drill else ()
        left = await_removed(cluster, clock, scene.plan.namespace, uid)
    plan = scene.plan
    return Report(
        name=plan.name, model=plan.model, engine=plan.engine, engine_version=plan.engine_version,
        rehearsed_version="that of the image", mechanism=plan.mechanism.value,
        deployed=layout_words(scene.deployed), rehearsed=layout_words(plan), nodes=nodes,
        ready_s=outcome.seconds, took_s=clock.now() - began, phases=(), checks=checks,
        ranks=matches, agreement=None, compared_with=None, usage=(), drill=None,
        aftermaths=aftermaths, changes=scene.changes, findings=(), leftovers=left,
        proved=proved_by(plan, checks, matches, None, None),
        not_proved=not_proved_by(scene.changes),
    )  # fmt: skip


def scene_of(
    resolved: Resolved, folder: Path, ranks: tuple[int, int] | None, where: Where
) -> tuple[ClusterScene, int]:
    """Decide what is applied; also the size of the small vocabulary."""
    if where.image is None:
        raise usage_error(
            "rehearsal-image-missing",
            "a rehearsal on a cluster needs an image with the CPU engine and this package",
            remedy="pass --image; the test bed brings testbed.local/vllm-cpu:1",
        )
    cut = shrunk(resolved, folder, ranks)
    sizes = Substitution(
        tensor_parallel=cut.layout.tensor_parallel,
        layers=cut.small.layers,
        model_path="",
        max_model_len=cut.max_model_len,
        image=where.image,
        interface="eth0",
    )
    space = f"{cut.deployed.name}-rehearsal"
    scene = cluster_scene(cut.deployed, cut.small, sizes, cut.rules, space)
    return scene, cut.small.shape.vocab_size


def _drill(
    cluster: KubeCluster, scene: ClusterScene, where: Where, progress: Progress
) -> tuple[Aftermath, ...]:
    progress.show(Stage(name="drill", title="Letting things happen to the group"))
    client = endpoint_client(cluster, scene)
    group = Group(
        plan=scene.plan,
        cluster=cluster,
        kubectl=Kubectl(kubeconfig=where.kubeconfig, context=where.context),
        ask=lambda: client.chat("Which layers does stage 1 hold?", 4, timeout_s=30),
    )
    if scene.plan.endpoints[0].api_key is not None:  # the API server does not pass a key on
        health = scene.plan.endpoints[0].health_path
        group = replace(group, ask=lambda: client.get(health))
    return drilled(group, progress.show)


@contextmanager
def own_namespace(
    cluster: KubeCluster, scene: ClusterScene, progress: Progress, *, take_over: bool = False
) -> Iterator[str]:
    """Make the namespace and the Secrets that pods name; remove all of it in the end.

    Yields the uid of the namespace. take_over: remove that of another rehearsal first.
    """
    plan = scene.plan
    holder = Holder(run=secrets.token_hex(8), by=whoever(), since=now())
    uid = acquire(cluster, SystemClock(), plan.namespace, holder, take_over=take_over)
    try:
        for secret in plan.secrets:
            value = base64.b64encode(secrets.token_hex(16).encode()).decode()
            cluster.apply(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": secret.name, "namespace": plan.namespace},
                    "data": dict.fromkeys(secret.keys, value),
                }
            )
        yield uid
    finally:
        progress.show(Stage(name="stop", title=f"Removing namespace {plan.namespace}"))
        release(cluster, plan.namespace, uid)


def start_group(cluster: KubeCluster, scene: ClusterScene) -> Outcome:
    """Apply everything and wait until it serves; raises ShardwrightError with the doctor's word."""
    plan = scene.plan
    objects = kubernetes_objects(plan)
    for finding in preflight(cluster, plan, objects):
        if finding.severity is Severity.ERROR:
            raise ShardwrightError(
                code=finding.code, what=finding.what, cause=finding.why, remedy=finding.remedy
            )
    target = target_of(plan)
    changes = planned_changes(cluster, target, objects)
    rollout = Rollout(cluster, SystemClock(), target, Teller())
    outcome = rollout.deploy(objects, changes, rollback=False)
    if outcome.result is Result.FAILED:
        report = as_text(outcome.report) if outcome.report else ""
        raise ShardwrightError(
            code="rehearsal-did-not-start",
            what=f"the group was not ready after {outcome.seconds:.0f} s",
            details=(*outcome.problems, *report.splitlines()),
            remedy="mend what the details name, and rehearse again",
            exit_code=ExitCode.VERDICT_NO,
        )
    return outcome


def endpoint_client(cluster: KubeCluster, scene: ClusterScene) -> Client:
    """Reach the endpoint through its Service and the API server."""
    plan = scene.plan
    service = ObjectRef(
        api_version="v1", kind="Service", name=object_name("Service", plan.name),
        namespace=plan.namespace,
    )  # fmt: skip
    base = cluster.proxy_base(service, plan.endpoints[0].port)
    return Client(http=cluster.http(), base=base, model=plan.served_name)


def _checks(
    cluster: KubeCluster, scene: ClusterScene, vocab_size: int, progress: Progress
) -> Iterator[Check]:
    endpoint = scene.plan.endpoints[0]
    prover = Prover(
        client=endpoint_client(cluster, scene), clock=SystemClock(), vocab_size=vocab_size,
        health_path=endpoint.health_path,
    )  # fmt: skip
    for check in prover.checks():
        if endpoint.api_key is not None and check.name != "health":
            continue  # the API server does not pass a key on, so only what needs none is asked
        progress.show(check)
        yield check


def _pods(cluster: KubeCluster, scene: ClusterScene) -> tuple[Object, ...]:
    labels = {INSTANCE: scene.plan.name, COMPONENT: "serving"}
    return cluster.list("v1", "Pod", namespace=scene.plan.namespace, labels=labels)


def _identify(cluster: KubeCluster, scene: ClusterScene) -> tuple[RankMatch, ...]:
    pods = _pods(cluster, scene)
    verifier = Verifier(cluster, SystemClock(), scene.plan)
    return verifier.identify(pods, verifier.logs(pods))


def _node_words(cluster: KubeCluster, scene: ClusterScene, version: str) -> str:
    nodes = sorted({pod_progress(pod).node or "" for pod in _pods(cluster, scene)})
    return f"pods on {', '.join(nodes)} of a Kubernetes {version}"
