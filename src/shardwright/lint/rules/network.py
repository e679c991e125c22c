"""RDMA, NCCL's interfaces, and the names host-network pods can resolve."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.bundle import Member
from shardwright.lint.finding import Fix, Found, Rule
from shardwright.lint.fixes import add_key
from shardwright.lint.names import Kind
from shardwright.lint.scene import Scene
from shardwright.lint.shell.values import shown
from shardwright.model.finding import Severity

_NCCL = "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html"
_DNS = "https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-s-dns-policy"
_NETWORKS = "k8s.v1.cni.cncf.io/networks"


def _distributed(scene: Scene) -> Iterator[Member]:
    """Yield members of groups that span pods, once each."""
    seen: set[int] = set()
    for group in scene.groups:
        if group.is_distributed:
            for member, _ in group.members:
                if id(member) not in seen:
                    seen.add(id(member))
                    yield member


def _has_device_access(member: Member) -> bool:
    """True if the container reaches InfiniBand devices without a device plugin."""
    container = member.container
    if container.is_privileged:
        return True
    mount = container.mount_at("/dev/infiniband")
    return mount is not None and mount.mount_path.startswith("/dev")


def _rdma_without_resource(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        container = member.container
        variable = container.env.get("NCCL_IB_HCA")
        is_off = container.env_value("NCCL_IB_DISABLE") == "1"
        if variable is None or is_off or member.workload.is_managed:
            continue
        if container.rdma_resources or _has_device_access(member):
            continue
        yield Found(
            object=member.object,
            path=variable.path,
            what=(
                f"NCCL_IB_HCA asks for RDMA, and container {container.name} requests no RDMA"
                " resource"
            ),
        )


def _rdma_without_memlock(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        container = member.container
        if not container.rdma_resources or container.is_privileged:
            continue
        if any("efa" in name for name in container.rdma_resources):
            continue
        if not container.capabilities & {"IPC_LOCK", "ALL", "SYS_ADMIN"}:
            yield Found(
                object=member.object,
                path=(*container.path, "securityContext"),
                severity=Severity.NOTE if container.drops_capabilities else Severity.WARNING,
                what=(
                    f"container {container.name} has {container.rdma_resources[0]} and may not"
                    " lock memory"
                ),
            )


def _interface_unset(scene: Scene) -> Iterator[Found]:
    for member in _distributed(scene):
        container, pod = member.container, member.pod
        has_networks = pod.host_network or _NETWORKS in pod.annotations
        if not has_networks or container.has_env_from or member.command.is_opaque:
            continue
        missing = [
            name
            for name in ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME")
            if name not in container.env and not _exports(member, name)
        ]
        if missing:
            yield Found(
                object=member.object,
                path=(*container.path, "env"),
                what=(
                    f"{pod.role.value} {container.name} sees several networks"
                    f" ({'host network' if pod.host_network else 'secondary networks'}),"
                    f" and {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set"
                ),
            )


def _exports(member: Member, name: str) -> bool:
    """True if a shell script sets the variable."""
    return member.container.mentions(f"{name}=")


def _host_network_dns(scene: Scene) -> Iterator[Found]:
    seen: set[int] = set()
    for member, host, _, resolution in scene.meetings:
        if not member.pod.host_network or member.pod.dns_policy != "ClusterFirst":
            continue
        is_in_cluster = resolution.kind is Kind.POD or resolution.kind is Kind.SERVICE
        if id(member) in seen or not (is_in_cluster or "LWS_LEADER_ADDRESS" in host):
            continue
        seen.add(id(member))
        obj, path = member.object, member.pod.path
        edit = add_key(obj, path, "dnsPolicy", "ClusterFirstWithHostNet")
        yield Found(
            object=obj,
            path=(*path, "hostNetwork"),
            what=f"a host-network pod with dnsPolicy ClusterFirst cannot resolve {shown(host)}",
            fix=Fix(summary="set dnsPolicy: ClusterFirstWithHostNet", edits=(edit,))
            if edit
            else None,
        )


RULES = (
    Rule(
        code="rdma-without-resource",
        severity=Severity.WARNING,
        title="RDMA asked for, no RDMA device",
        why=(
            "NCCL_IB_HCA picks among the HCAs the container can open. Without a device plugin's"
            " resource (or a privileged container) there are none, and NCCL falls back to sockets"
            " in silence, five to fifty times slower."
        ),
        remedy="request the cluster's RDMA resource, such as rdma/ib or nvidia.com/hca: 1",
        references=(_NCCL, "https://github.com/vllm-project/vllm/issues/6610"),
        check=_rdma_without_resource,
    ),
    Rule(
        code="rdma-without-memlock",
        severity=Severity.WARNING,
        title="RDMA without the right to lock memory",
        why=(
            "RDMA registers pinned memory. Unless the node's container runtime raises the memlock"
            " limit, registration needs the IPC_LOCK capability, and fails with ENOMEM without it."
            " A container that drops all capabilities relies on the runtime: only noted."
        ),
        remedy=(
            "add IPC_LOCK under securityContext.capabilities.add, or raise memlock in the runtime"
            " of the nodes"
        ),
        references=(_NCCL,),
        check=_rdma_without_memlock,
    ),
    Rule(
        code="nccl-interface-unset",
        severity=Severity.WARNING,
        title="several networks, and nobody says which",
        why=(
            "NCCL and Gloo take the first interface that looks usable. With host or secondary"
            " networks members can pick different ones and wait for each other until a timeout."
        ),
        remedy="set NCCL_SOCKET_IFNAME and GLOO_SOCKET_IFNAME to the interface all nodes share",
        references=(_NCCL,),
        check=_interface_unset,
    ),
    Rule(
        code="host-network-dns",
        severity=Severity.WARNING,
        title="a host-network pod that must resolve cluster names",
        why=(
            "With hostNetwork, dnsPolicy ClusterFirst means the node's resolver, which does not"
            " know Services and pods; the rendezvous name never resolves."
        ),
        remedy="set dnsPolicy: ClusterFirstWithHostNet",
        references=(_DNS,),
        check=_host_network_dns,
    ),
)
