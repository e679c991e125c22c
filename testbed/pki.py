"""Certificates and kubeconfigs: one authority, one short-lived certificate per component."""

from __future__ import annotations

import json
from pathlib import Path

from testbed.layout import API_PORT, CONTROL_ADDRESS
from testbed.shell import run

_DAYS = "365"
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

SERVING_NAMES = (
    "IP:127.0.0.1",
    f"IP:{CONTROL_ADDRESS}",
    "IP:10.215.0.1",  # the `kubernetes` Service is the first address of its range
    "DNS:localhost",
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
    "DNS:kubernetes.default.svc.cluster.local",
)


def make_authority(pki: Path) -> None:
    """Make the authority and the key that signs service account tokens."""
    pki.mkdir(parents=True, exist_ok=True)
    run(
        *("openssl", "req", "-x509", *_KEY, "-days", _DAYS, "-subj", "/CN=shardwright-testbed"),
        *("-keyout", pki / "ca.key", "-out", pki / "ca.crt"),
    )
    run("openssl", "genrsa", "-out", pki / "sa.key", "2048")
    run("openssl", "rsa", "-in", pki / "sa.key", "-pubout", "-out", pki / "sa.pub")


def issue(pki: Path, name: str, subject: str, alternative_names: tuple[str, ...] = ()) -> None:
    """Make `<name>.key` and `<name>.crt`, for a client and, with names, for a server."""
    request, extensions = pki / f"{name}.csr", pki / f"{name}.ext"
    usage = "extendedKeyUsage=clientAuth,serverAuth\n"
    names = f"subjectAltName={','.join(alternative_names)}\n" if alternative_names else ""
    extensions.write_text(usage + names)
    run(
        *("openssl", "req", "-new", *_KEY, "-subj", subject),
        *("-keyout", pki / f"{name}.key", "-out", request),
    )
    run(
        *("openssl", "x509", "-req", "-in", request, "-days", _DAYS, "-extfile", extensions),
        *("-CA", pki / "ca.crt", "-CAkey", pki / "ca.key", "-CAcreateserial"),
        *("-out", pki / f"{name}.crt"),
    )


def write_kubeconfig(path: Path, pki: Path, name: str, address: str = CONTROL_ADDRESS) -> None:
    """Write a kubeconfig for an issued certificate. JSON is YAML, so no library is needed."""

    def embedded(file: Path) -> str:
        import base64

        return base64.b64encode(file.read_bytes()).decode()

    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "testbed",
        "clusters": [
            {
                "name": "testbed",
                "cluster": {
                    "server": f"https://{address}:{API_PORT}",
                    "certificate-authority-data": embedded(pki / "ca.crt"),
                },
            }
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": embedded(pki / f"{name}.crt"),
                    "client-key-data": embedded(pki / f"{name}.key"),
                },
            }
        ],
        "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": name}}],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
    path.chmod(0o600)
