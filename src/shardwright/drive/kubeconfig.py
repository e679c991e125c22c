"""Which API server to talk to, and as whom: kubeconfig files, contexts, or the pod's own account.

Files of $KUBECONFIG are merged as kubectl does: the first that names a thing wins. Called by
drive/kube, which makes the connection.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from shardwright.model.errors import ShardwrightError, usage_error

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HOME_FILE = Path("~/.kube/config")
_LISTS = {"clusters": "cluster", "contexts": "context", "users": "user"}
_FILES = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One context, resolved. cluster and user: the kubeconfig's own fields, paths made absolute.

    source: the files, or the account, for messages.
    """

    server: str
    namespace: str
    source: str
    cluster: Mapping[str, Any] = field(default_factory=dict)
    user: Mapping[str, Any] = field(default_factory=dict)

    def pem(self, part: str, name: str) -> bytes | None:
        """Read a certificate or key, given in place (base64) or as a file; None if neither is."""
        fields = self.cluster if part == "cluster" else self.user
        if data := fields.get(f"{name}-data"):
            return base64.b64decode(data)
        return Path(fields[name]).read_bytes() if fields.get(name) else None


def find_access(
    kubeconfig: Path | None, context: str | None, env: Mapping[str, str] = os.environ
) -> Access:
    """Choose: the named file, $KUBECONFIG, ~/.kube/config, or in a pod its account.

    Raises ShardwrightError (exit code 2) that names what is there instead.
    """
    files = _files(kubeconfig, env)
    if not files:
        if (ACCOUNT / "token").exists() and "KUBERNETES_SERVICE_HOST" in env:
            return _own_account(env)
        looked = env.get("KUBECONFIG") or str(HOME_FILE)
        raise _unusable(f"none of {looked.replace(os.pathsep, ', ')} exists")
    source = ", ".join(map(str, files))
    merged = _merged(_read(each) for each in files)
    wanted = context or merged["current-context"]
    if not wanted:
        raise _unusable(f"{source} has no current context", _names(merged))
    if wanted not in merged["contexts"]:
        raise _unusable(f"there is no context {wanted} in {source}", _names(merged))
    chosen = merged["contexts"][wanted]
    for kind in ("cluster", "user"):
        name = chosen.get(kind)
        if (name or kind == "cluster") and name not in merged[f"{kind}s"]:
            raise _unusable(f"context {wanted} names {kind} {name}, which is not in {source}")
    cluster = merged["clusters"][chosen["cluster"]]
    if not cluster.get("server"):
        raise _unusable(f"cluster {chosen['cluster']} of {source} has no server")
    return Access(
        server=cluster["server"],
        namespace=chosen.get("namespace") or "default",
        source=source,
        cluster=cluster,
        user=merged["users"].get(chosen.get("user"), {}),
    )


def _files(kubeconfig: Path | None, env: Mapping[str, str]) -> list[Path]:
    if kubeconfig is not None:
        return [kubeconfig]
    listed = env.get("KUBECONFIG") or str(HOME_FILE)
    paths = [Path(name).expanduser() for name in listed.split(os.pathsep) if name]
    return [path for path in paths if path.exists()]


def _read(path: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise _unusable(f"{path} cannot be read: {why}") from error
    if not isinstance(value, dict) or value.get("kind", "Config") != "Config":
        raise _unusable(f"{path} is not a kubeconfig")
    out: dict[str, Any] = {"current-context": value.get("current-context")}
    try:
        for plural, kind in _LISTS.items():
            named = {each["name"]: dict(each[kind] or {}) for each in value.get(plural) or []}
            for fields in named.values():
                for name in _FILES.get(kind, ()):
                    if fields.get(name):
                        fields[name] = str(path.parent.absolute() / fields[name])
            out[plural] = named
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable(f"{path} is not a kubeconfig: an entry lacks {error}") from error
    return out


def _merged(configs: Iterable[dict[str, Any]]) -> dict[str, Any]:
    out: dict[str, Any] = {"current-context": None, **{plural: {} for plural in _LISTS}}
    for config in configs:
        out["current-context"] = out["current-context"] or config["current-context"]
        for plural in _LISTS:
            out[plural] = {**config[plural], **out[plural]}
    return out


def _own_account(env: Mapping[str, str]) -> Access:
    host, port = env["KUBERNETES_SERVICE_HOST"], env.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    return Access(
        server=f"https://{host}:{port}",
        namespace=(ACCOUNT / "namespace").read_text(encoding="utf-8").strip(),
        source=f"the pod's account in {ACCOUNT}",
        cluster={"certificate-authority": str(ACCOUNT / "ca.crt")},
        user={"tokenFile": str(ACCOUNT / "token")},
    )


def _names(merged: Mapping[str, Any]) -> str:
    names = ", ".join(sorted(merged["contexts"])) or "none"
    return f"its contexts are: {names}"


def _unusable(what: str, cause: str | None = None) -> ShardwrightError:
    return usage_error(
        "kubeconfig-unusable",
        what,
        cause=cause,
        remedy="pass --kubeconfig FILE and --context NAME, or set KUBECONFIG",
    )
