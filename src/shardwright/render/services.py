"""Services and network policies: who reaches what, under which name."""

from __future__ import annotations

from shardwright.model.launch import LaunchPlan, Role
from shardwright.model.process import Port
from shardwright.render.emit import Because, Object
from shardwright.render.labels import metadata, selector
from shardwright.render.names import object_name


def public_ports(plan: LaunchPlan) -> tuple[Port, ...]:
    """Ports of the leader that clients outside the group may use."""
    processes = plan.group.members[0].processes
    return tuple(port for process in processes for port in process.ports if port.is_public)


def serving_service(plan: LaunchPlan) -> Object:
    """Name the leaders of all groups for clients."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(plan, object_name("Service", plan.name)),
        "spec": {
            "type": "ClusterIP",
            "selector": Because(
                selector(plan, Role.LEADER), "only leaders serve HTTP; workers never get a request"
            ),
            "ports": [
                {"name": port.name, "port": port.number, "targetPort": port.name, "protocol": "TCP"}
                for port in public_ports(plan)
            ],
        },
    }


def group_service_name(plan: LaunchPlan) -> str:
    """Name of the Service that gives every member a host name."""
    return object_name("Service", plan.name, "group")


def group_service(plan: LaunchPlan) -> Object:
    """Give every member a host name, before it is ready: members meet while they start."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(plan, group_service_name(plan)),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": Because(
                value=True, why="members look each other up before any of them can be ready"
            ),
            "selector": selector(plan),
        },
    }


def network_policy(plan: LaunchPlan) -> Object:
    """Close every port but the public ones to all but the endpoint's own pods.

    Ray and torch.distributed run what they are sent: whoever reaches their ports runs code.
    """
    own: Object = {"from": [{"podSelector": {"matchLabels": selector(plan)}}]}
    clients: Object = {
        "ports": [{"port": port.name, "protocol": "TCP"} for port in public_ports(plan)]
    }
    why = "Ray and torch.distributed run what they are sent; only the group itself may reach them"
    if plan.placement.host_network:
        why += " (binds neither host-network nor RDMA traffic)"
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(plan, object_name("NetworkPolicy", plan.name)),
        "spec": {
            "podSelector": {"matchLabels": selector(plan)},
            "policyTypes": ["Ingress"],
            "ingress": Because([clients, own] if len(plan.group.members) > 1 else [clients], why),
        },
    }
