"""The control plane's services, certificates and command lines."""

from __future__ import annotations

from pathlib import Path

from testbed.layout import (
    API_PORT,
    CONTROL,
    POD_NETWORK,
    SERVICE_NETWORK,
    Machine,
    kubeconfig_path,
    state_dir,
)
from testbed.pki import SERVING_NAMES, issue, make_authority, write_kubeconfig

CLIENTS = {
    "admin": "/O=system:masters/CN=testbed-admin",
    "controller-manager": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "kube-proxy": "/CN=system:kube-proxy",
}


def prepare(nodes: tuple[Machine, ...]) -> None:
    """Issue every certificate and write every kubeconfig."""
    pki = state_dir() / "pki"
    make_authority(pki)
    issue(pki, "apiserver", "/CN=kube-apiserver", SERVING_NAMES)
    for name, subject in CLIENTS.items():
        issue(pki, name, subject)
        write_kubeconfig(state_dir() / f"{name}.kubeconfig", pki, name)
    for node in nodes:
        issue(
            pki,
            node.name,
            f"/O=system:nodes/CN=system:node:{node.name}",
            (f"DNS:{node.name}", f"IP:{node.address}"),
        )
        write_kubeconfig(state_dir() / f"{node.name}.kubeconfig", pki, node.name)
    (state_dir() / "admin.kubeconfig").rename(kubeconfig_path())


KWOK_STAGES = (
    "node/fast/node-initialize",
    "node/heartbeat-with-lease/node-heartbeat-with-lease",
    "pod/fast/pod-ready",
    "pod/fast/pod-complete",
    "pod/fast/pod-delete",
)


def kwok_service(binaries: Path, source: Path) -> list[str]:
    """Return kwok's command line: nodes with the label type=kwok, and their pods, are acted out."""
    stages = (f"--config={source / 'kustomize' / 'stage' / stage}.yaml" for stage in KWOK_STAGES)
    return [
        str(binaries / "kwok"),
        f"--kubeconfig={kubeconfig_path()}",
        "--manage-nodes-with-label-selector=type=kwok",
        "--node-lease-duration-seconds=40",
        "--cidr=10.216.0.0/16",
        *stages,
    ]


def store_services(
    apiserver: Path, etcd: Path, machine: Machine, certificate: str
) -> dict[str, list[str]]:
    """Return the command lines of an API server and its etcd, on one machine."""
    pki = state_dir() / "pki"
    return {
        "etcd": [
            str(etcd / "etcd"),
            f"--data-dir={machine.directory / 'etcd'}",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",  # the bed's state may die with the machine
        ],
        "kube-apiserver": [
            str(apiserver / "kube-apiserver"),
            "--etcd-servers=http://127.0.0.1:2379",
            f"--advertise-address={machine.address}",
            f"--secure-port={API_PORT}",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            # Webhooks are called at their pods' addresses: no kube-proxy runs beside the API server
            "--enable-aggregator-routing=true",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--tls-cert-file={pki / f'{certificate}.crt'}",
            f"--tls-private-key-file={pki / f'{certificate}.key'}",
            f"--kubelet-client-certificate={pki / 'admin.crt'}",
            f"--kubelet-client-key={pki / 'admin.key'}",
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={pki / 'sa.pub'}",
            f"--service-account-signing-key-file={pki / 'sa.key'}",
        ],
    }


def services(binaries: Path, etcd: Path) -> dict[str, list[str]]:
    """Return the command line of each service of the bed's control plane."""
    pki = state_dir() / "pki"
    manager, scheduler = (
        state_dir() / "controller-manager.kubeconfig",
        state_dir() / "scheduler.kubeconfig",
    )
    return store_services(binaries, etcd, CONTROL, "apiserver") | {
        "kube-controller-manager": [
            str(binaries / "kube-controller-manager"),
            f"--kubeconfig={manager}",
            f"--authentication-kubeconfig={manager}",
            f"--authorization-kubeconfig={manager}",
            "--leader-elect=false",
            "--use-service-account-credentials=true",
            f"--root-ca-file={pki / 'ca.crt'}",
            f"--service-account-private-key-file={pki / 'sa.key'}",
            f"--cluster-cidr={POD_NETWORK}",
        ],
        "kube-scheduler": [
            str(binaries / "kube-scheduler"),
            f"--kubeconfig={scheduler}",
            f"--authentication-kubeconfig={scheduler}",
            f"--authorization-kubeconfig={scheduler}",
            "--leader-elect=false",
        ],
    }
