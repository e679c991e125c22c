"""What an API server says when it refuses, in the words of our errors. Called by drive/kube."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import cast

import httpx2 as httpx

from shardwright.model.cluster import Object
from shardwright.model.errors import ShardwrightError

_REFUSALS: dict[int, tuple[str, str]] = {
    HTTPStatus.UNAUTHORIZED: (
        "cluster-unauthorized",
        "renew the credentials of this context (for example: kubectl get pods), then try again",
    ),
    HTTPStatus.FORBIDDEN: (
        "cluster-forbidden",
        "ask for a Role with this verb on this resource, or use another context",
    ),
    HTTPStatus.NOT_FOUND: ("object-not-found", "check the name, the namespace and the context"),
    HTTPStatus.CONFLICT: (
        "field-conflict",
        "another manager owns these fields: let it give them up, or delete the object first",
    ),
    HTTPStatus.UNPROCESSABLE_ENTITY: (
        "object-refused",
        "change what the message names; a field that cannot change needs the object deleted first",
    ),
    HTTPStatus.TOO_MANY_REQUESTS: ("cluster-busy", "try again in a minute"),
}


_OF_RIGHTS = ('" cannot ', "attempting to grant RBAC")
"""In the message of a 403 that is of the caller's rights; quotas, Pod Security and webhooks refuse
with the same status. Source: k8s.io/apiserver, endpoints/handlers/responsewriters/errors.go."""


def status_error(status_code: int, body: str) -> ShardwrightError:
    """Turn an error answer into an error that says what to do.

    >>> said = {"message": 'User "eve" cannot list resource "pods"', "reason": "Forbidden"}
    >>> str(status_error(403, json.dumps(said)))
    'cluster-forbidden: User "eve" cannot list resource "pods"'
    >>> status_error(403, '{"message": "exceeded quota: team", "reason": "Forbidden"}').code
    'admission-refused'
    """
    code, remedy = _REFUSALS.get(
        status_code,
        ("cluster-error", "look at the API server's log, and try again")
        if status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        else ("request-refused", "change what the message names"),
    )
    reason = None
    try:
        said = json.loads(body)
        message, reason = str(said["message"]), said.get("reason")
    except (ValueError, KeyError, TypeError):
        message = body.strip()[:500] or f"status {status_code}"
    if reason == "AlreadyExists":
        code, remedy = "object-exists", "choose another name, or delete the object first"
    if reason == "Forbidden" and not any(words in message for words in _OF_RIGHTS):
        code, remedy = "admission-refused", "ask who set the quota, limit or policy it names"
    return ShardwrightError(
        code=code, what=message, remedy=remedy, context={"status": str(status_code)}
    )


def checked(response: httpx.Response) -> Object:
    """Read an answer. Raises ShardwrightError if it is an error, or none of an API server."""
    if response.is_error:
        raise status_error(response.status_code, response.text)
    try:
        return cast("Object", response.json())
    except ValueError as error:  # a login page, or a redirection to one
        raise not_an_api_server(str(response.request.url), response.status_code) from error


def not_an_api_server(url: str, status_code: int) -> ShardwrightError:
    """Say that something answered that is no API server, as a proxy that wants a login does."""
    return ShardwrightError(
        code="not-an-api-server",
        what=f"{url} answered {status_code} with what is no JSON",
        cause="a proxy before the API server, or another server at its address",
        remedy="check the server of this context, and log in where its proxy asks for it",
    )


def connection_error(server: str, error: Exception) -> ShardwrightError:
    """Say that the API server was not reached, or is not the one it should be.

    >>> str(connection_error("https://a", OSError("Connection refused")))
    'cluster-unreachable: https://a does not answer'
    """
    cause = str(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in cause:
        return ShardwrightError(
            code="cluster-certificate-refused",
            what=f"the certificate of {server} is not one this kubeconfig trusts",
            cause=cause,
            remedy="check certificate-authority and tls-server-name, or a proxy that opens TLS",
        )
    return ShardwrightError(
        code="cluster-unreachable",
        what=f"{server} does not answer",
        cause=cause,
        remedy="check the context (kubectl config current-context), the VPN and the proxy",
    )
