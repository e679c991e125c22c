"""Connections to an API server over real TLS: credential plugins, names, proxies, certificates.

The server is a small one on loopback that says who called; every plugin is a real program.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from shardwright.drive.kube import connect
from shardwright.model.errors import ShardwrightError

NAME = "api.cluster.example"


class ApiServer(BaseHTTPRequestHandler):
    """Answers /version to whoever has a token that is still good, or a certificate."""

    good = "second"
    asked: list[str]

    def do_GET(self) -> None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        peer = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else {}
        self.asked.append(token or ("certificate" if peer else "nobody"))
        status = 200 if token == self.good or peer else 401
        body = json.dumps({"gitVersion": "v1.34.4", "message": "who are you"}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for NAME, which is its own authority."""
    folder = tmp_path_factory.mktemp("pki")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
            "-keyout", folder / "tls.key", "-out", folder / "tls.crt",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return folder


@pytest.fixture
def server(pki: Path) -> Iterator[ThreadingHTTPServer]:
    handler = type("Handler", (ApiServer,), {"asked": []})
    listening = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "tls.crt", pki / "tls.key")
    context.load_verify_locations(pki / "tls.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield listening
    listening.shutdown()
    listening.server_close()


def kubeconfig(server: ThreadingHTTPServer, pki: Path, user: object, **cluster: object) -> Path:
    named = {
        "server": f"https://127.0.0.1:{server.server_port}",
        "certificate-authority": "tls.crt",
        "tls-server-name": NAME,
        **cluster,
    }
    value = {
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": named}],
        "users": [{"name": "here", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
    }
    path = pki / "config"
    path.write_text(yaml.safe_dump(value))
    return path


def plugin(pki: Path, body: str, version: str = "v1") -> dict[str, object]:
    program = pki / "login"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return {
        "exec": {
            "apiVersion": f"client.authentication.k8s.io/{version}",
            "command": "./login",
            "args": ["get-token"],
            "env": [{"name": "PROFILE", "value": "prod"}],
            "provideClusterInfo": True,
            "interactiveMode": "Never",
        }
    }


def credential(**status: str) -> str:
    return json.dumps({"kind": "ExecCredential", "status": status})


def test_who_acts_as_somebody_else_is_that_to_the_server(
    server: ThreadingHTTPServer, pki: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the headers everything is done with the rights of the user behind it."""
    seen: list[list[str]] = []
    answer = ApiServer.do_GET

    def noting(self: ApiServer) -> None:
        names = ("Impersonate-User", "Impersonate-Group", "Impersonate-Extra-reason")
        seen.append([value for name in names for value in self.headers.get_all(name, [])])
        answer(self)

    monkeypatch.setattr(ApiServer, "do_GET", noting)
    user = {
        "token": "second", "as": "ci", "as-groups": ["ml", "ops"],
        "as-user-extra": {"Reason": ["deploy"]},
    }  # fmt: skip
    with connect(kubeconfig(server, pki, user)) as cluster:
        cluster.server_version()
    assert seen == [["ci", "ml", "ops", "deploy"]]


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_plugin_is_asked_again_when_its_token_is_refused(
    server: ThreadingHTTPServer, pki: Path, version: str
) -> None:
    """The first token is one the server no longer takes, as after a night's sleep."""
    count = pki / f"count-{version}"
    body = (
        f'echo x >> {count}; [ "$1 $PROFILE" = "get-token prod" ] || exit 9\n'
        f'echo "$KUBERNETES_EXEC_INFO" | grep -q {NAME} || exit 8\n'
        f"[ $(wc -l < {count}) = 1 ] && echo '{credential(token='first')}' && exit\n"
        f"echo '{credential(token='second')}'"
    )
    with connect(kubeconfig(server, pki, plugin(pki, body, version))) as cluster:
        assert cluster.server_version() == "1.34.4"
        assert cluster.server_version() == "1.34.4"
    assert server.RequestHandlerClass.asked == ["first", "second", "second"]  # type: ignore[attr-defined]
    assert count.read_text().count("x") == 2


def test_a_plugin_may_give_a_certificate(server: ThreadingHTTPServer, pki: Path) -> None:
    given = credential(
        clientCertificateData=(pki / "tls.crt").read_text(),
        clientKeyData=(pki / "tls.key").read_text(),
    )
    (pki / "given.json").write_text(given)
    with connect(kubeconfig(server, pki, plugin(pki, f"cat {pki}/given.json"))) as cluster:
        assert cluster.server_version() == "1.34.4"
    assert server.RequestHandlerClass.asked == ["certificate"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "echo 'token expired: run login' >&2; exit 3",
            "it ended with 3: token expired: run login",
        ),
        ("echo hello", "it printed no ExecCredential with a token or a certificate"),
    ],
)
def test_a_plugin_that_fails_is_quoted(
    server: ThreadingHTTPServer, pki: Path, body: str, said: str
) -> None:
    with pytest.raises(ShardwrightError) as caught:
        connect(kubeconfig(server, pki, plugin(pki, body)))
    assert caught.value.code == "credential-plugin-failed"
    assert said in caught.value.what


def test_a_plugin_that_is_not_installed(server: ThreadingHTTPServer, pki: Path) -> None:
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "no-such-login",
            "installHint": "install it from the portal",
        }
    }
    with pytest.raises(ShardwrightError) as caught:
        connect(kubeconfig(server, pki, user))
    assert "there is no such program" in caught.value.what
    assert caught.value.remedy == "install it from the portal"


def test_a_certificate_for_another_name_is_refused(server: ThreadingHTTPServer, pki: Path) -> None:
    config = kubeconfig(server, pki, {"token": "second"}, **{"tls-server-name": "other.example"})
    with connect(config) as cluster, pytest.raises(ShardwrightError) as caught:
        cluster.server_version()
    assert caught.value.code == "cluster-certificate-refused"
    assert "other.example" in str(caught.value.cause)


def test_a_token_file_is_read_again(server: ThreadingHTTPServer, pki: Path) -> None:
    (pki / "token").write_text("old\n")
    with connect(kubeconfig(server, pki, {"tokenFile": "token"})) as cluster:
        with pytest.raises(ShardwrightError) as caught:
            cluster.server_version()
        assert caught.value.code == "cluster-unauthorized"
        (pki / "token").write_text("second\n")
        assert cluster.server_version() == "1.34.4"


def test_a_proxy_named_by_the_kubeconfig_is_used(server: ThreadingHTTPServer, pki: Path) -> None:
    """The proxy refuses, so that what arrives there is seen."""
    seen: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            seen.append(self.path)
            self.send_error(502, "no way out")

        def log_message(self, *_: object) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{proxy.server_port}"
    config = kubeconfig(server, pki, {"token": "second"}, **{"proxy-url": url})
    with connect(config) as cluster, pytest.raises(ShardwrightError) as caught:
        cluster.server_version()
    proxy.shutdown()
    proxy.server_close()
    assert seen == [f"127.0.0.1:{server.server_port}"]
    assert caught.value.code == "cluster-unreachable"


def test_nobody_listens(pki: Path, server: ThreadingHTTPServer) -> None:
    server.server_port = 9
    config = kubeconfig(server, pki, {"token": "x"})
    with connect(config) as cluster, pytest.raises(ShardwrightError) as caught:
        cluster.server_version()
    assert caught.value.code == "cluster-unreachable"
    assert "refused" in str(caught.value.cause)
