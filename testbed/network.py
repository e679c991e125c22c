"""The bridge, the network namespaces and the routes between host, nodes, pods and services."""

from __future__ import annotations

import ipaddress
import json

from testbed.layout import (
    BRIDGE,
    HOST_ADDRESS,
    NETNS_PREFIX,
    NODE_NETWORK,
    POD_NETWORK,
    SERVICE_NETWORK,
    Machine,
)
from testbed.shell import TestbedError, run, succeeds


def create(control: Machine, nodes: tuple[Machine, ...]) -> None:
    """Make the bridge and one namespace per machine; every machine reaches every pod range."""
    _refuse_overlap()
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "addr", "add", f"{HOST_ADDRESS}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    for machine in (control, *nodes):
        create_namespace(machine)
    for node in nodes:
        to_pods = ("route", "add", str(node.pod_network), "via", node.address)
        run("ip", *to_pods)
        for machine in (control, *nodes):
            if machine is not node:
                _ip(machine, *to_pods)
    # Services are translated by the nodes' kube-proxy; the host sends them to the first node
    run("ip", "route", "add", SERVICE_NETWORK, "via", nodes[0].address)


def create_namespace(machine: Machine) -> None:
    """Make a machine's network namespace and its link to the bridge."""
    outside = f"swtb-{machine.address.rsplit('.', 1)[1]}"
    run("ip", "netns", "add", machine.netns)
    run(
        *("ip", "link", "add", outside, "type", "veth"),
        *("peer", "name", "eth0", "netns", machine.netns),
    )
    run("ip", "link", "set", outside, "master", BRIDGE, "up")
    _ip(machine, "link", "set", "lo", "up")
    _ip(machine, "addr", "add", f"{machine.address}/24", "dev", "eth0")
    _ip(machine, "link", "set", "eth0", "up")
    _ip(machine, "route", "add", "default", "via", HOST_ADDRESS)


def _ip(machine: Machine, *arguments: str) -> None:
    run("ip", "-n", machine.netns, *arguments)


def _refuse_overlap() -> None:
    """Refuse to shadow a network that this host already reaches."""
    ours = [ipaddress.ip_network(text) for text in (NODE_NETWORK, POD_NETWORK, SERVICE_NETWORK)]
    for route in json.loads(run("ip", "-j", "-4", "route", "show", "table", "all") or "[]"):
        target = str(route.get("dst", "default"))
        if target == "default" or route.get("dev") == BRIDGE:
            continue
        theirs = ipaddress.ip_network(target, strict=False)
        if any(theirs.overlaps(mine) for mine in ours):
            raise TestbedError(f"the route {target} of this host overlaps the test bed's networks")


def namespaces() -> tuple[str, ...]:
    """Return the test bed's network namespaces that exist."""
    listed = json.loads(run("ip", "-j", "netns", "list") or "[]")
    return tuple(item["name"] for item in listed if item["name"].startswith(NETNS_PREFIX))


def processes(namespace: str) -> tuple[int, ...]:
    """Return the processes in a namespace."""
    return tuple(int(word) for word in run("ip", "netns", "pids", namespace).split())


def remove() -> None:
    """Remove namespaces, links, bridge and routes, whatever is left of them."""
    for namespace in namespaces():
        run("ip", "netns", "delete", namespace)
    for link in json.loads(run("ip", "-j", "link", "show")):
        if str(link["ifname"]).startswith(NETNS_PREFIX):
            succeeds("ip", "link", "delete", link["ifname"])
    succeeds("ip", "link", "delete", BRIDGE)
