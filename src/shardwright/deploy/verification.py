"""The first thing a user would do: one completion through the Service, once all pods are ready."""

from __future__ import annotations

from shardwright.model.cluster import Cluster, ObjectRef
from shardwright.model.errors import ShardwrightError
from shardwright.model.launch import LaunchPlan
from shardwright.render.names import object_name


def first_completion(cluster: Cluster, plan: LaunchPlan) -> str:
    """Ask for eight tokens through the API server's proxy and say what came back.

    An endpoint with an API key is not called: the proxy keeps the Authorization header to itself.
    """
    endpoint = plan.endpoints[0]
    if endpoint.api_key is not None:
        return "not called: the endpoint wants an API key, which the API server's proxy cannot pass"
    service = ObjectRef(
        api_version="v1",
        kind="Service",
        name=object_name("Service", plan.name),
        namespace=plan.namespace,
    )
    body = {"model": plan.served_name, "prompt": "1 2 3", "max_tokens": 8, "temperature": 0}
    answer = cluster.call(service, endpoint.port, "/v1/completions", body)
    try:
        tokens = int(answer["usage"]["completion_tokens"])
    except (KeyError, TypeError, ValueError) as error:
        raise ShardwrightError(
            code="endpoint-answer-unreadable",
            what=f"/v1/completions answered without usage: {str(answer)[:200]}",
            remedy="look at the leader's log",
        ) from error
    return f"answered: {tokens} tokens from {plan.served_name} through Service/{service.name}"
