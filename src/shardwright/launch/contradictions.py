"""Fields of the spec that cannot hold together: refused, so none is ever ignored in silence."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.facts.products import PRODUCT_LABEL, product
from shardwright.model.errors import ShardwrightError, usage_error
from shardwright.model.request import Mechanism, Request

_OWN_TEMPLATES = (Mechanism.STATEFULSET, Mechanism.RAY_STATEFULSET, Mechanism.MPI)
"""Mechanisms whose groups each have pod templates of their own, without any custom resource."""


def contradiction(
    request: Request, mechanism: Mechanism, num_members: int, replicas: int, image: str
) -> ShardwrightError | None:
    """Say what of the request cannot be had as asked; None if all of it can."""
    refusals = (
        *_queueing(request, mechanism, num_members),
        *_gang(request, mechanism, num_members, replicas),
        *_route(request),
        *_images(request, image),
        *_source(request),
        *_nodes(request),
    )
    return refusals[0] if refusals else None


def _queueing(
    request: Request, mechanism: Mechanism, num_members: int
) -> Iterator[ShardwrightError]:
    asked = request.scheduling
    if asked.gang == "kueue" and not asked.queue:
        yield usage_error(
            "queue-missing",
            "spec.scheduling.gang is kueue, and no queue is named",
            cause="Kueue admits a workload through the LocalQueue its label names",
            remedy="set spec.scheduling.queue to a LocalQueue of the namespace",
        )
    by_kueue = asked.gang == "kueue" or (asked.queue is not None and asked.gang == "none")
    if by_kueue and num_members > 1 and mechanism in _OWN_TEMPLATES:
        yield usage_error(
            "queue-splits-group",
            f"Kueue would admit the leader and the workers of a {mechanism.value} group apart",
            cause="each StatefulSet is a workload of its own, so half a group can hold its GPUs",
            remedy="set spec.launch to lws or kuberay, or spec.scheduling.gang to volcano",
        )
    if asked.gang == "native" and asked.queue:
        yield usage_error(
            "queue-without-scheduler",
            "spec.scheduling.queue is set, and native gang scheduling has no queues",
            remedy="leave the queue out, or set spec.scheduling.gang to kueue or volcano",
        )


def _gang(
    request: Request, mechanism: Mechanism, num_members: int, replicas: int
) -> Iterator[ShardwrightError]:
    gang = request.scheduling.gang
    if request.scheduling.kubernetes and gang != "native":
        yield usage_error(
            "gang-not-possible",
            "spec.scheduling.kubernetes matters to native gang scheduling alone",
            remedy="leave it out, or set spec.scheduling.gang to native",
        )
    if gang == "native" and num_members == 1:
        yield usage_error(
            "gang-not-possible",
            "a group of one pod is always whole",
            remedy="leave spec.scheduling.gang out",
        )
    if gang == "native" and num_members > 1 and mechanism not in _OWN_TEMPLATES:
        yield usage_error(
            "gang-not-possible",
            f"native gang scheduling does not reach the pods of {mechanism.value}",
            cause="its custom resource drops the field schedulingGroup from the pod template",
            remedy="set spec.launch to statefulset, or spec.scheduling.gang to volcano",
        )
    if gang == "volcano" and mechanism is Mechanism.LWS and replicas > 1 and num_members > 1:
        yield usage_error(
            "gang-not-possible",
            f"{replicas} groups of one LeaderWorkerSet share a template, and with it a PodGroup",
            cause="a pod names its PodGroup, so all groups would have to start at once",
            remedy="set spec.parallelism.replicas to 1, or spec.launch to statefulset",
        )


def _route(request: Request) -> Iterator[ShardwrightError]:
    access = request.access
    details = {
        "gateway": access.gateway,
        "ingressClass": access.ingress_class,
        "tlsSecret": access.tls_secret,
    }
    given = [f"spec.access.{name}" for name, value in details.items() if value]
    if given and not access.route_host:
        yield usage_error(
            "route-without-host",
            f"{', '.join(given)}: no route is asked for",
            remedy="set spec.access.route to the host name clients use",
        )
    if access.gateway and (access.ingress_class or access.tls_secret):
        yield usage_error(
            "route-of-two-kinds",
            "spec.access.gateway makes an HTTPRoute; ingressClass and tlsSecret are of an Ingress",
            cause="the certificate of a gateway belongs to its listener",
            remedy="leave out either the gateway or the other two",
        )


def _images(request: Request, image: str) -> Iterator[ShardwrightError]:
    named = (("engine", image), ("storage", request.storage.image))
    for section, reference in named if request.images.pin_digests else ():
        if reference and "@sha256:" not in reference:
            yield usage_error(
                "image-not-pinned",
                f"spec.images.pinDigests is set, and {reference} has no digest",
                remedy=f"set spec.{section}.image to registry/name:tag@sha256:…",
            )
    names_nodes = request.cluster.node_selector or request.cluster.gpu_product_selector
    if request.images.pre_pull == "job" and not names_nodes:
        yield usage_error(
            "pre-pull-without-nodes",
            "spec.images.prePull is job, and nothing says which nodes have the GPUs",
            cause="the job asks for no GPU, since running pods may hold them",
            remedy="set spec.cluster.nodeSelector to a label of the GPU nodes",
        )


def _source(request: Request) -> Iterator[ShardwrightError]:
    """Refuse what would be read from nowhere, or is never read."""
    model, network, storage = request.model, request.network, request.storage
    if storage.image and (model.source or storage.claim):
        other = "spec.model.source" if model.source else "spec.storage.claim"
        yield usage_error(
            "weights-twice",
            f"spec.storage.image brings the weights, and so does {other}",
            remedy="leave one of the two out",
        )
    if storage.image and (storage.size_bytes or storage.storage_class or storage.access_mode):
        yield usage_error(
            "claim-without-use",
            "spec.storage.image brings the weights, and spec.storage describes a claim",
            cause="an image is pulled by each node; there is no claim",
            remedy="leave size, storageClass and accessMode out",
        )
    if model.source and request.storage.claim and model.path:
        yield usage_error(
            "source-without-download",
            "spec.model.source is set, and spec.model.path says that the claim has the weights",
            cause="nothing is downloaded into a claim that has them",
            remedy="leave spec.model.source or spec.model.path out",
        )
    told = request.access.s3_secret or network.s3_endpoint or network.s3_region
    if told and not model.source:
        yield usage_error(
            "bucket-without-source",
            "an S3 store is described, and no weights are read from it",
            remedy="set spec.model.source to s3://bucket/prefix",
        )


def _nodes(request: Request) -> Iterator[ShardwrightError]:
    """Refuse to select by a label that we do not know, or that the user set otherwise."""
    cluster = request.cluster
    if not cluster.gpu_product_selector:
        return
    if product(cluster.gpu) is None:
        yield usage_error(
            "gpu-product-unknown",
            f"what GPU feature discovery labels nodes with {cluster.gpu} is not known",
            remedy=f"set spec.cluster.nodeSelector: {{{PRODUCT_LABEL}: ...}} yourself; "
            f"`kubectl get nodes -L {PRODUCT_LABEL}` shows the values",
        )
    if PRODUCT_LABEL in dict(cluster.node_selector):
        yield usage_error(
            "gpu-selected-twice",
            f"spec.cluster.nodeSelector has {PRODUCT_LABEL}, and gpuProductSelector is set",
            remedy="leave one of the two out",
        )
