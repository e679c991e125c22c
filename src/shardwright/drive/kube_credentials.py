"""How a request proves who sends it: tokens, passwords, certificates, and credential plugins.

Plugins follow client.authentication.k8s.io: a program that prints an ExecCredential. Called by
drive/kube when it connects.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2 as httpx

from shardwright.drive.kubeconfig import Access
from shardwright.model.errors import ShardwrightError

PLUGIN_TIMEOUT_S = 60
"""Seconds a credential plugin may take; those that open a browser wait for a person."""
_VERSIONS = tuple(f"client.authentication.k8s.io/{v}" for v in ("v1", "v1beta1"))


class NamedContext(ssl.SSLContext):
    """A TLS context that expects another name than the one dialled (tls-server-name)."""

    expected: str | None = None

    def wrap_socket(self, sock: Any, *args: Any, **options: Any) -> ssl.SSLSocket:
        """Wrap a socket, the expected name in place of the host's."""
        if self.expected:
            options["server_hostname"] = self.expected
        return super().wrap_socket(sock, *args, **options)


class Token(httpx.Auth):
    """A bearer token that may be renewed: from a file that rotates, or by asking a plugin again."""

    def __init__(self, access: Access, first: Mapping[str, Any] | None) -> None:
        self._access = access
        self._given = first

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send with the token; once more with a new one if the server refuses it."""
        request.headers["Authorization"] = f"Bearer {self._token()}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED and not self._access.user.get("token"):
            self._given = None
            request.headers["Authorization"] = f"Bearer {self._token()}"
            yield request

    def _token(self) -> str:
        user = self._access.user
        if path := user.get("tokenFile"):
            return Path(path).read_text(encoding="utf-8").strip()
        if user.get("token"):
            return str(user["token"])
        if self._given is None or _is_over(self._given):
            self._given = ask_plugin(self._access)
        return str(self._given["token"])


def credentials(access: Access) -> tuple[ssl.SSLContext, httpx.Auth | None]:
    """Make the TLS context and the authentication of an access."""
    context = NamedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.expected = access.cluster.get("tls-server-name")
    if access.cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif authority := access.pem("cluster", "certificate-authority"):
        context.load_verify_locations(cadata=authority.decode())
    else:
        context.load_default_certs()
    user = access.user
    certificate, key = access.pem("user", "client-certificate"), access.pem("user", "client-key")
    given = None
    if user.get("exec") and not user.get("token") and not user.get("tokenFile"):
        given = ask_plugin(access)
        if given.get("clientCertificateData"):
            certificate = given["clientCertificateData"].encode()
            key = given["clientKeyData"].encode()
    if certificate and key:
        _load_certificate(context, certificate, key)
    if user.get("token") or user.get("tokenFile") or (given and given.get("token")):
        return context, Token(access, given)
    if user.get("username") and user.get("password"):
        return context, httpx.BasicAuth(user["username"], user["password"])
    return context, None


def impersonation(user: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Write the headers of a user entry that acts as somebody else: `as`, `as-groups` and so on.

    Source: k8s.io/client-go, transport/round_trippers.go (ImpersonationConfig).

    >>> impersonation({"as": "ci", "as-groups": ["ml", "ops"]})
    [('Impersonate-User', 'ci'), ('Impersonate-Group', 'ml'), ('Impersonate-Group', 'ops')]
    """
    named = (("Impersonate-User", "as"), ("Impersonate-Uid", "as-uid"))
    headers = [(header, str(user[key])) for header, key in named if user.get(key)]
    headers += [("Impersonate-Group", str(each)) for each in user.get("as-groups") or ()]
    return headers + [
        (f"Impersonate-Extra-{quote(key.lower(), safe='')}", str(value))
        for key, values in (user.get("as-user-extra") or {}).items()
        for value in values
    ]


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # the ssl module reads these from files only
    with tempfile.TemporaryDirectory() as folder:
        cert_file, key_file = Path(folder, "cert"), Path(folder, "key")
        cert_file.write_bytes(certificate)
        key_file.write_bytes(key)
        context.load_cert_chain(cert_file, key_file)


def ask_plugin(access: Access) -> Mapping[str, Any]:
    """Run the credential plugin; return the status of its ExecCredential."""
    plugin = access.user["exec"]
    command = [_program(plugin["command"], access), *(plugin.get("args") or [])]
    version = plugin.get("apiVersion", "")
    if version not in _VERSIONS:
        raise _plugin_error(command[0], f"its apiVersion {version} is none of {_VERSIONS}", plugin)
    env = {**os.environ, **{each["name"]: each["value"] for each in plugin.get("env") or []}}
    info: dict[str, Any] = {
        "apiVersion": version,
        "kind": "ExecCredential",
        "spec": {"interactive": False},
    }
    if plugin.get("provideClusterInfo"):
        info["spec"]["cluster"] = _cluster_info(access)
    env["KUBERNETES_EXEC_INFO"] = json.dumps(info)
    try:
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=PLUGIN_TIMEOUT_S, check=False,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise _plugin_error(command[0], "there is no such program", plugin) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _plugin_error(command[0], str(error), plugin) from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise _plugin_error(command[0], f"it ended with {done.returncode}: {said[-1]}", plugin)
    try:
        status = json.loads(done.stdout)["status"]
        if not status.get("token") and not status.get("clientCertificateData"):
            raise KeyError("token")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = "it printed no ExecCredential with a token or a certificate"
        raise _plugin_error(command[0], why, plugin) from error
    found: Mapping[str, Any] = status
    return found


def _program(command: str, access: Access) -> str:
    """Resolve a relative path with a slash against the kubeconfig's folder, as kubectl does."""
    if "/" in command and not Path(command).is_absolute():
        return str(Path(access.source.split(", ", maxsplit=1)[0]).parent.absolute() / command)
    return command


def _cluster_info(access: Access) -> dict[str, Any]:
    info: dict[str, Any] = {"server": access.server}
    if name := access.cluster.get("tls-server-name"):
        info["tls-server-name"] = name
    if authority := access.pem("cluster", "certificate-authority"):
        info["certificate-authority-data"] = base64.b64encode(authority).decode()
    return info


def _is_over(status: Mapping[str, Any]) -> bool:
    end = status.get("expirationTimestamp")
    return bool(end) and datetime.fromisoformat(str(end)) <= datetime.now(UTC)


def _plugin_error(program: str, why: str, plugin: Mapping[str, Any]) -> ShardwrightError:
    hint = str(plugin.get("installHint") or "").strip()
    return ShardwrightError(
        code="credential-plugin-failed",
        what=f"the credential plugin {program} gave no credentials: {why}",
        remedy=hint or "run it by hand (kubectl get pods does), log in again, or pass --context",
    )
