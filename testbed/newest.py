"""A second API server, of the newest Kubernetes, beside a standing bed: it judges manifests.

It has an etcd of its own and no nodes: newer kubelets refuse hosts with cgroup v1, an API server
does not care. It is given the bed's resource definitions, not the controllers' webhooks.
"""

from __future__ import annotations

from pathlib import Path

from testbed import components, control, debian, definitions, machines, network
from testbed.kubectl import kubectl
from testbed.layout import NEWEST, kubeconfig_path, newest_kubeconfig_path, state_dir
from testbed.pki import SERVING_NAMES, issue, write_kubeconfig
from testbed.shell import TestbedError, say, succeeds, wait_for


def up() -> None:
    """Start it on the standing bed, or leave it if it answers; `down` of the bed removes it."""
    if not kubeconfig_path().exists():
        raise TestbedError("no bed is up; run: python -m testbed up")
    if newest_kubeconfig_path().exists() and _answers():
        say("already up")
        return
    debian.ensure()
    program = components.ensure(components.APISERVER)
    if NEWEST.netns not in network.namespaces():
        _start(components.ensure(components.ETCD), program)
    wait_for("the newest API server", _answers, timeout_s=120)
    for text in (*definitions.of_controllers(), *definitions.without_controller()):
        kubectl(
            "apply", "--server-side", "-f", "-", stdin=text, kubeconfig=newest_kubeconfig_path()
        )
    say(f"up: {components.APISERVER.version} at {newest_kubeconfig_path()}")


def _start(etcd: Path, program: Path) -> None:
    pki = state_dir() / "pki"
    issue(pki, NEWEST.name, "/CN=kube-apiserver", (*SERVING_NAMES, f"IP:{NEWEST.address}"))
    network.create_namespace(NEWEST)
    machines.start(NEWEST, control.store_services(program, etcd, NEWEST, NEWEST.name))
    write_kubeconfig(newest_kubeconfig_path(), pki, "admin", NEWEST.address)


def _answers() -> bool:
    program = components.directory(components.KUBERNETES) / "kubectl"
    config = f"--kubeconfig={newest_kubeconfig_path()}"
    return succeeds(program, config, "get", "--raw", "/readyz", timeout_s=10)
