"""Kubernetes and its neighbours, compiled from pinned Go modules and cached by content.

Each `components/<name>/` holds a go.mod whose `tool` lines name upstream's own main packages (or a
main.go of ours), with its go.sum committed. The key of the cache is everything that decides the
result: those files, the Go version and the flags.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from testbed.layout import cache_dir, components_dir
from testbed.shell import run, say

BUILD_LIMIT_S = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One Go module of ours and the programs it builds."""

    name: str
    version: str
    binaries: tuple[str, ...]
    module: str
    """The upstream module; its manifests are read from the module cache."""
    version_flag: str | None = None
    """Go variable prefix that holds the version, for programs that report it to others."""
    no_sumdb: str | None = None
    """A path that the checksum database does not serve; go.sum still pins its content."""


KUBERNETES = Component(
    name="kubernetes",
    version="1.34.4",
    module="k8s.io/kubernetes",
    binaries=(
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
        "kubelet",
        "kubectl",
    ),
    version_flag="k8s.io/component-base/version",
)
ETCD = Component(
    name="etcd", version="3.7.3", module="go.etcd.io/etcd/server/v3", binaries=("etcd",)
)
COREDNS = Component(
    name="coredns", version="1.12.4", module="github.com/coredns/coredns", binaries=("coredns",)
)
LWS = Component(name="lws", version="0.7.0", module="sigs.k8s.io/lws", binaries=("manager",))
KUBERAY = Component(
    name="kuberay",
    version="1.5.0",
    module="github.com/ray-project/kuberay/ray-operator",
    binaries=("manager",),
    no_sumdb="github.com/ray-project/kuberay",
)
KWOK = Component(name="kwok", version="0.8.0", module="sigs.k8s.io/kwok", binaries=("kwok",))
KUBE_ROUTER = Component(
    name="kube-router",
    version="2.1.0",
    module="github.com/cloudnativelabs/kube-router/v2",
    binaries=("kube-router",),
)
"""Its firewall alone: it enforces NetworkPolicy on each node."""
APISERVER = Component(
    name="apiserver",
    version="1.37.2",
    module="k8s.io/kubernetes",
    binaries=("kube-apiserver",),
    version_flag="k8s.io/component-base/version",
)
"""The newest Kubernetes: its API server alone judges manifests, beside the bed's own."""

HELM = Component(name="helm", version="3.22.0", module="helm.sh/helm/v3", binaries=("helm",))
"""For tests of charts, which need no bed: `make helm` builds it."""
PROMQL = Component(
    name="promql",
    version="0.316.0",
    module="github.com/prometheus/prometheus",
    binaries=("promql",),
)
"""Prometheus' own parsers behind a small program of ours, for tests of alerts and queries."""


def _flags(component: Component) -> list[str]:
    link = ["-s", "-w"]
    if component.version_flag:
        major, minor, _ = component.version.split(".")
        for key, value in (
            ("gitVersion", f"v{component.version}"),
            ("gitMajor", major),
            ("gitMinor", minor),
        ):
            link += ["-X", f"{component.version_flag}.{key}={value}"]
    return ["-trimpath", "-buildvcs=false", "-ldflags", " ".join(link)]


def _environment(component: Component) -> dict[str, str]:
    env = dict(os.environ, CGO_ENABLED="0", GOFLAGS="")
    if component.no_sumdb:
        env["GONOSUMDB"] = component.no_sumdb
    return env


def key(component: Component) -> str:
    """Return the content hash that names the compiled result."""
    digest = hashlib.sha256()
    for path in sorted((components_dir() / component.name).iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    digest.update(repr((_flags(component), run("go", "env", "GOVERSION", "GOARCH"))).encode())
    return digest.hexdigest()[:16]


def directory(component: Component) -> Path:
    """Return where the compiled programs are, whether or not they are there yet."""
    return cache_dir() / "bin" / f"{component.name}-{component.version}-{key(component)}"


def ensure(component: Component) -> Path:
    """Compile a component unless it is cached, and return its directory."""
    target = directory(component)
    if all((target / name).exists() for name in component.binaries):
        return target
    source = components_dir() / component.name
    has_main = (source / "main.go").exists()
    say(f"building {component.name} {component.version}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        run(
            *("go", "build", *_flags(component), "-o", scratch + "/", "." if has_main else "tool"),
            cwd=source,
            env=_environment(component),
            timeout_s=BUILD_LIMIT_S,
        )
        built = sorted(Path(scratch).iterdir())
        if len(built) == 1:
            built[0].rename(Path(scratch) / component.binaries[0])
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(scratch, target)
    return target


def module_source(component: Component) -> Path:
    """Return the upstream module's files in Go's module cache (its manifests live there)."""
    output = run(
        *("go", "list", "-m", "-f", "{{.Dir}}", component.module),
        cwd=components_dir() / component.name,
        env=_environment(component),
    ).strip()
    if not output:
        run(
            "go",
            "mod",
            "download",
            component.module,
            cwd=components_dir() / component.name,
            env=_environment(component),
            timeout_s=600,
        )
        return module_source(component)
    return Path(output)
