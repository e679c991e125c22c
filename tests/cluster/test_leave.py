"""A request in flight when a member of its group is told to end: the real engine on two pods."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cluster.real_group import standing

from shardwright.model.cluster import ObjectRef, reference
from shardwright.render.names import object_name
from shardwright.verify.client import Client

pytestmark = pytest.mark.long
TOKENS = 1000
SOON = 20
"""Tokens after which the pod must have been told; the rest takes longer than an engine to end."""


@pytest.mark.parametrize(
    ("launch", "index"), [("lws", 0), ("statefulset", 0), ("statefulset", 1), ("kuberay", 0)]
)
def test_a_request_in_flight_is_answered_to_its_end(
    launch: str, index: int, engine_bed: Path, tmp_path: Path
) -> None:
    """Whichever member is deleted, the whole stream arrives, and the pod ends after it."""
    with standing(f"leave-{launch}", launch, engine_bed, tmp_path) as (group, _):
        plan = group.plan
        service = ObjectRef(
            api_version="v1", kind="Service", name=object_name("Service", plan.name),
            namespace=plan.namespace,
        )  # fmt: skip
        base = group.cluster.proxy_base(service, plan.endpoints[0].port)
        client = Client(http=group.cluster.http(), base=base, model=plan.served_name)
        pod = group.member(index)
        answered = 0
        for chunk in client.stream_chat("Which layers does stage 1 hold?", TOKENS):
            answered += bool(chunk["choices"] and chunk["choices"][0]["delta"].get("content"))
            if answered == 1:
                group.cluster.delete(reference(pod))
            if answered == SOON:
                told = group.cluster.get(reference(pod))
                assert told is not None
                assert told["metadata"]["deletionTimestamp"]
        assert chunk["choices"][0]["finish_reason"] == "length"
        assert answered > SOON
