"""One node's services: containerd, kubelet and kube-proxy, with their settings.

The paths inside are the ordinary ones (/var/lib/kubelet, /run/containerd): each machine has its
own /var/lib, /var/log and /run, so that two nodes on one host cannot meet.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from testbed.layout import (
    CGROUP,
    DNS_ADDRESS,
    POD_NETWORK,
    SERVICE_NETWORK,
    Machine,
    engines_dir,
    kubeconfig_path,
    state_dir,
)
from testbed.shell import run

SOCKET = "/run/containerd/containerd.sock"
CNI_PLUGINS = "/usr/lib/cni"
PAUSE_IMAGE = "testbed.local/pause:1"


def services(node: Machine, binaries: Path) -> dict[str, list[str]]:
    """Write the node's settings and return the command line of each service."""
    directory = node.directory
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "containerd.toml").write_text(_containerd(directory))
    (directory / "runtime-spec.json").write_text(json.dumps(_runtime_spec(), indent=1))
    (directory / "cni").mkdir(exist_ok=True)
    _write_json(directory / "cni" / "10-testbed.conflist", _cni(node))
    (directory / "resolv.conf").write_text("")
    _write_json(directory / "kubelet.json", _kubelet(node))
    _write_json(directory / "kube-proxy.json", _kube_proxy(node))
    return {
        "containerd": ["containerd", "--config", str(directory / "containerd.toml")],
        "kubelet": [
            str(binaries / "kubelet"),
            f"--config={directory / 'kubelet.json'}",
            f"--kubeconfig={state_dir() / f'{node.name}.kubeconfig'}",
            f"--hostname-override={node.name}",
            f"--node-ip={node.address}",
        ],
        "kube-proxy": [str(binaries / "kube-proxy"), f"--config={directory / 'kube-proxy.json'}"],
    }


def firewall(node: Machine, binaries: Path) -> dict[str, list[str]]:
    """Return the command line of the service that enforces NetworkPolicy, and does nothing else."""
    return {
        "kube-router": [
            str(binaries / "kube-router"),
            "--run-firewall=true",
            "--run-router=false",
            "--run-service-proxy=false",
            f"--kubeconfig={kubeconfig_path()}",
            f"--hostname-override={node.name}",
            f"--service-cluster-ip-range={SERVICE_NETWORK}",
        ]
    }


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1) + "\n")


def _containerd(directory: Path) -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
[grpc]
  address = "{SOCKET}"
[{cri}]
  sandbox_image = "{PAUSE_IMAGE}"
  # without CAP_SYS_RESOURCE a score can only be raised
  restrict_oom_score_adj = true
  disable_apparmor = true
[{cri}.cni]
  bin_dir = "{CNI_PLUGINS}"
  conf_dir = "{directory / "cni"}"
[{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  base_runtime_spec = "{directory / "runtime-spec.json"}"
"""


def engine_mounts() -> tuple[Path, ...]:
    """Return what every container sees read-only at the host's own path: engines and their Python.

    Engine environments are gigabytes; a node lends them to its containers instead of copying them
    into an image, and no manifest has to know. Virtual environments name their paths inside, so
    the paths stay the same.
    """
    engines = engines_dir()
    if not engines.exists():
        return ()
    pythons = {
        path.resolve().parent.parent
        for path in engines.glob("*/bin/python")
        if not path.resolve().is_relative_to("/usr")
    }
    return (engines, *sorted(pythons))


def _runtime_spec() -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(run("ctr", "oci", "spec"))
    spec["process"].pop("rlimits", None)
    spec["mounts"] += [
        {
            "destination": str(path),
            "source": str(path),
            "type": "bind",
            "options": ["rbind", "ro", "nosuid", "nodev"],
        }
        for path in engine_mounts()
    ]
    return spec


def _cni(node: Machine) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "name": "testbed",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": node.pod_network}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _kubelet(node: Machine) -> dict[str, Any]:
    pki = state_dir() / "pki"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / f"{node.name}.crt"),
        "tlsPrivateKeyFile": str(pki / f"{node.name}.key"),
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}/{node.name}",
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(node.directory / "resolv.conf"),
        "oomScoreAdj": 0,
        # the host's disk is shared: never evict or collect images over somebody else's files
        "evictionHard": {
            "memory.available": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "nodeStatusUpdateFrequency": "5s",
        "serializeImagePulls": False,
    }


def _kube_proxy(node: Machine) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": POD_NETWORK,
        "hostnameOverride": node.name,
        "clientConnection": {"kubeconfig": str(state_dir() / "kube-proxy.kubeconfig")},
        "oomScoreAdj": 0,
        # the host's connection table is not ours to size
        "conntrack": {
            "maxPerCore": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
            "udpTimeout": "0s",
            "udpStreamTimeout": "0s",
        },
    }
