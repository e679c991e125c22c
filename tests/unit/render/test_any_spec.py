"""Whatever valid spec: objects that Kubernetes' strict schema and our own lint accept."""

import dataclasses

from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from shardwright import shape
from shardwright.engines import ENGINES, Refusal, find_engine
from shardwright.launch.build import build_launch_plan
from shardwright.lint.objects import from_values
from shardwright.lint.run import lint_objects
from shardwright.model.consistency import inconsistencies
from shardwright.model.errors import ShardwrightError
from shardwright.model.finding import Severity
from shardwright.model.request import (
    Access,
    Autoscaling,
    Images,
    Mechanism,
    MonitoringAsked,
    Network,
    Scheduling,
    Storage,
)
from shardwright.planner.plan import make_plan
from shardwright.render.folder import manifest_folder
from shardwright.render.objects import kubernetes_objects
from shardwright.spec.load import load

from .schemas import NEWEST, OLDEST, check

BASE = """
kind: DistributedInference
metadata: {name: llama}
spec:
  model: {id: meta-llama/Llama-3.1-70B-Instruct}
  cluster: {gpu: H200-SXM, gpusPerNode: 8, nodes: 8, fabric: infiniband-400g}
"""
REQUEST = load(BASE, "spec.yaml").request
MODEL = shape.load(REQUEST.model.id)
IMPOSSIBLE = {
    "autoscaling-not-possible",
    "gang-not-possible",
    "metrics-not-known",
    "queue-missing",
    "queue-splits-group",
    "queue-without-scheduler",
    "weights-read-only",
}
"""What a spec may be refused for whose fields are each valid, but not together."""
NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,51}[a-z0-9])?", fullmatch=True)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=20)


@st.composite
def requests(draw):
    engine = find_engine(draw(st.sampled_from([engine.name for engine in ENGINES])))
    pipeline = draw(st.sampled_from([1, 2]))
    answers = {m: engine.meet(engine.default_version, m, pipeline) for m in Mechanism}
    able = [m for m in Mechanism if not isinstance(answers[m], Refusal)]
    maybe = st.none() | NAMES
    return dataclasses.replace(
        REQUEST,
        name=draw(NAMES),
        namespace=draw(NAMES),
        launch=draw(st.sampled_from(able)),
        engine=dataclasses.replace(
            REQUEST.engine,
            name=engine.name,
            image=draw(st.just("registry.example/engine:1")),
            env=(("USERS_OWN", draw(TEXT)),),
        ),
        cluster=dataclasses.replace(
            REQUEST.cluster,
            rdma_resource=draw(st.none() | st.just("rdma/ib")),
            rdma_memlock=draw(st.sampled_from(["runtime", "capability"])),
            host_network=draw(st.booleans()),
            topology_key=draw(st.none() | st.just("topology.example/rack")),
            gpu_product_selector=draw(st.booleans()),
            node_selector=(("pool", "h200"),),
            network_interface=draw(st.none() | st.just("eth0")),
        ),
        parallelism=dataclasses.replace(
            REQUEST.parallelism,
            tensor=8,
            pipeline=pipeline,
            replicas=draw(st.sampled_from([1, 2])),
        ),
        images=Images(
            pull_secrets=draw(st.sampled_from([(), ("regcred",)])),
            pre_pull=draw(st.sampled_from(["none", "job"])),
        ),
        storage=draw(st.sampled_from([Storage(), Storage(image="models/llama:1")])),
        network=Network(proxy=draw(st.none() | TEXT), ca_bundle=draw(maybe)),
        scheduling=draw(scheduling()),
        access=draw(access()),
        monitoring=draw(monitoring()),
        autoscaling=draw(autoscaling()),
    )


@st.composite
def scheduling(draw):
    gang = draw(st.sampled_from(["none", "kueue", "volcano", "native"]))
    return Scheduling(
        priority_class=draw(st.none() | NAMES),
        gang=gang,
        queue=draw(st.none() | NAMES),
        kubernetes=draw(st.sampled_from([None, "1.36", "1.37"])) if gang == "native" else None,
    )


@st.composite
def access(draw):
    maybe = st.none() | NAMES
    host = draw(st.none() | st.just("llm.example.org"))
    gateway = draw(st.sampled_from([None, "public", "infra/public"])) if host else None
    is_ingress = host is not None and gateway is None
    return Access(
        hf_token_secret=draw(maybe),
        route_host=host,
        gateway=gateway,
        ingress_class=draw(maybe) if is_ingress else None,
        tls_secret=draw(maybe) if is_ingress else None,
    )


@st.composite
def monitoring(draw):
    if not draw(st.booleans()):
        return MonitoringAsked()
    labels = draw(st.sampled_from([(), (("release", "prometheus"),)]))
    return MonitoringAsked(pod_monitor=True, alerts=draw(st.booleans()), labels=labels)


@st.composite
def autoscaling(draw):
    by = draw(st.sampled_from(["none", "none", "hpa", "keda"]))
    if by == "none":
        return Autoscaling()
    return Autoscaling(
        by=by,
        max_replicas=draw(st.integers(2, 4)),
        requests_per_replica=draw(st.integers(1, 64)),
        prometheus="http://prometheus:9090" if by == "keda" else None,
        metric="requests_in_flight" if by == "hpa" else None,
    )


@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(requests())
def test_any_valid_spec_renders_to_objects_that_lint_clean(request_):
    try:
        plan = build_launch_plan(request_, MODEL, make_plan(request_, MODEL))
    except ShardwrightError as error:
        if error.code in IMPOSSIBLE and error.remedy:
            reject()
        raise
    assert inconsistencies(plan) == ()
    if request_.storage.image:
        assert plan.claims == ()
    objects = kubernetes_objects(plan)
    oldest = OLDEST
    if request_.storage.image:
        oldest = "1.35"
    if plan.group.gang == "native":
        oldest = plan.placement.kubernetes or NEWEST
    for each in objects:
        if not request_.cluster.topology_key or plan.max_replicas == 1:
            check(each, oldest)  # matchLabelKeys came with 1.29
    found = lint_objects(from_values(list(objects)))
    assert [f.what for f in found if f.severity is Severity.ERROR] == []
    assert len(manifest_folder(objects)) == len(objects) + 1, "two objects share a file"
