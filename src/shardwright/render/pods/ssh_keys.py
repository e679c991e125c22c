"""Make the ssh keys of a group, once, and put them into its Secret.

Runs as a Job in the engine's image, which has OpenSSH, with a right to read and patch this one
Secret. The keys exist in this pod's memory-backed folder and in the Secret alone. A Secret that has
all of them is left as it is; two runs at once cannot mix theirs, since a patch names the version of
the Secret it was made for.
"""

from __future__ import annotations

import argparse
import base64
import json
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

CLIENT, HOST = "id_ed25519", "ssh_host_ed25519_key"
NAMES = (CLIENT, "authorized_keys", HOST, "known_hosts")
CONFLICT = 409
TRIES = 5
TIMEOUT_S = 30


def made(folder: Path) -> dict[str, bytes]:
    """Make one client key that every member accepts and one host key that every member shows."""
    for name in (CLIENT, HOST):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "group", "-f"]
        subprocess.run([*command, str(folder / name)], check=True, stdin=subprocess.DEVNULL)
    kind, key = (folder / f"{HOST}.pub").read_text().split()[:2]
    return {
        CLIENT: (folder / CLIENT).read_bytes(),
        "authorized_keys": (folder / f"{CLIENT}.pub").read_bytes(),
        HOST: (folder / HOST).read_bytes(),
        "known_hosts": f"* {kind} {key}\n".encode(),
    }


class Secret:
    """One Secret, through the API server; no proxy is ever in between."""

    def __init__(self, url: str, account: Path) -> None:
        self.url = url
        self.account = account
        context = None
        if url.startswith("https:"):
            context = ssl.create_default_context(cafile=str(account / "ca.crt"))
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def read(self) -> Any:
        """Return the Secret."""
        return self._ask("GET", None)

    def fill(self, found: Any, values: dict[str, bytes]) -> None:
        """Put values into the Secret that was found, unless it has changed since."""
        data = {name: base64.b64encode(value).decode() for name, value in values.items()}
        version = found["metadata"]["resourceVersion"]
        self._ask("PATCH", {"metadata": {"resourceVersion": version}, "data": data})

    def _ask(self, method: str, body: Any) -> Any:
        headers = {
            "Authorization": f"Bearer {(self.account / 'token').read_text().strip()}",
            "Content-Type": "application/merge-patch+json",
            "Accept": "application/json",
        }
        request = urllib.request.Request(  # noqa: S310  (the API server, by the Job's own words)
            self.url,
            method=method,
            headers=headers,
            data=None if body is None else json.dumps(body).encode(),
        )
        with self.opener.open(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer)


def ensure(secret: Secret, scratch: Path | None) -> str:
    """Fill the Secret unless it is full; say what was done."""
    for _ in range(TRIES):
        found = secret.read()
        if all((found.get("data") or {}).get(name) for name in NAMES):
            return "the keys are there already"
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            values = made(Path(folder))
        try:
            secret.fill(found, values)
        except urllib.error.HTTPError as error:
            if error.code != CONFLICT:
                raise
        else:
            return "made the keys"
    sys.exit("ssh-keys: the Secret kept changing")


def main() -> None:
    """Read the command line and fill the Secret."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--secret", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--api", default="https://kubernetes.default.svc")
    parser.add_argument("--scratch", type=Path)
    parser.add_argument(
        "--account", type=Path, default=Path("/var/run/secrets/kubernetes.io/serviceaccount")
    )
    options = parser.parse_args()
    url = f"{options.api}/api/v1/namespaces/{options.namespace}/secrets/{options.secret}"
    try:
        done = ensure(Secret(url, options.account), options.scratch)
    except urllib.error.HTTPError as error:
        reason = error.read(1000).decode(errors="replace")
        sys.exit(f"ssh-keys: the API server answered {error.code}: {reason}")
    except urllib.error.URLError as error:
        sys.exit(f"ssh-keys: cannot reach the API server: {error.reason}")
    print(f"shardwright: {done}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
