"""Bringing the bed up and down, in the order that the parts need each other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from testbed import (
    addons,
    components,
    control,
    debian,
    definitions,
    machines,
    network,
    node,
    stock,
)
from testbed.kubectl import api_is_ready, apply_text, get, is_condition
from testbed.layout import CONTROL, MAX_NODES, Machine, kubeconfig_path, nodes, state_dir
from testbed.shell import TestbedError, say, wait_for
from testbed.traces import traces


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What `up` was asked for; kept beside the running bed."""

    num_nodes: int
    gpus_per_node: int
    addons: tuple[str, ...]


def _wish_file() -> Path:
    return state_dir() / "wish.json"


def build(chosen: frozenset[str]) -> None:
    """Install Debian's packages and compile what a bed with these controllers needs."""
    debian.ensure(debian.FIREWALL if "kube-router" in chosen else ())
    for component in _components(chosen):
        components.ensure(component)


def _components(chosen: frozenset[str]) -> tuple[components.Component, ...]:
    extra = {
        "kube-router": components.KUBE_ROUTER,
        "kuberay": components.KUBERAY,
        "kwok": components.KWOK,
        "lws": components.LWS,
    }
    always = (components.KUBERNETES, components.ETCD, components.COREDNS)
    return always + tuple(extra[name] for name in sorted(chosen))


def up(wish: Wish) -> None:
    """Bring a bed up; an equal one that stands is left alone, anything else is removed first."""
    if not 1 <= wish.num_nodes <= MAX_NODES:
        raise TestbedError(f"--nodes must be 1 to {MAX_NODES}")
    if is_up(wish):
        load_images(standing())  # the package in the engine's image may have changed
        say("already up")
        return
    chosen = frozenset(wish.addons)
    build(chosen)
    down()
    state_dir().mkdir(parents=True)
    try:
        _start(wish, chosen)
    except TestbedError:
        say(f"failed; its logs stay in {state_dir()} until the next up or down")
        raise


def _start(wish: Wish, chosen: frozenset[str]) -> None:
    binaries = components.directory(components.KUBERNETES)
    etcd = components.directory(components.ETCD)
    all_nodes = nodes(wish.num_nodes)
    say("network, certificates")
    network.create(CONTROL, all_nodes)
    control.prepare(all_nodes)
    plane = control.services(binaries, etcd)
    if "kwok" in chosen:
        source = components.module_source(components.KWOK)
        plane["kwok"] = control.kwok_service(components.directory(components.KWOK), source)
    machines.start(CONTROL, plane)
    for machine in all_nodes:
        services = node.services(machine, binaries)
        if "kube-router" in chosen:
            services |= node.firewall(machine, components.directory(components.KUBE_ROUTER))
        machines.start(machine, services)
    load_images(wish)
    wait_for("API server", api_is_ready, timeout_s=120)
    say("API server ready")
    wait_for("default service account", _default_account_exists, timeout_s=60)
    addons.install(chosen)
    for text in definitions.without_controller():
        apply_text(text)
    names = {machine.name for machine in all_nodes}
    wait_for("nodes ready", lambda: names <= ready_nodes(), timeout_s=120)
    for machine in all_nodes:
        addons.give_gpus(machine, wish.gpus_per_node)
    say("nodes ready")
    addons.wait_available(chosen, timeout_s=180)
    _wish_file().write_text(json.dumps(asdict(wish)))
    say(f"up: export KUBECONFIG={kubeconfig_path()}")


def load_images(wish: Wish) -> None:
    """Build the images that are not cached and import all into every node."""
    say("images")
    archives = [stock.archive(image) for image in stock.wanted(frozenset(wish.addons))]
    all_nodes = nodes(wish.num_nodes)
    for machine in all_nodes:
        wait_for(f"containerd of {machine.name}", _containerd_answers(machine), timeout_s=60)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda machine: _load(machine, archives), all_nodes))


def standing() -> Wish:
    """Return what the running bed was asked for."""
    try:
        return Wish(**json.loads(_wish_file().read_text()))
    except FileNotFoundError as error:
        raise TestbedError("no bed is up; run: python -m testbed up") from error


def _load(machine: Machine, archives: list[Path]) -> None:
    """Import what this node does not have yet; an archive's name holds its content."""
    record = machine.directory / "images.txt"
    loaded = record.read_text().split() if record.exists() else []
    for archive in archives:
        if archive.name not in loaded:
            stock.load(machine, archive)
            with record.open("a") as lines:
                lines.write(f"{archive.name}\n")


def _containerd_answers(machine: Machine) -> Callable[[], bool]:
    def answers() -> bool:
        try:
            machines.inside(machine, "ctr", "-a", node.SOCKET, "version", timeout_s=10)
        except TestbedError:
            return False
        return True

    return answers


def _default_account_exists() -> bool:
    try:
        get("serviceaccount", "default")
    except TestbedError:
        return False
    return True


def ready_nodes() -> set[str]:
    """Return the names of the nodes that are Ready."""
    return {
        item["metadata"]["name"] for item in get("nodes")["items"] if is_condition(item, "Ready")
    }


def is_up(wish: Wish) -> bool:
    """Tell whether a bed that fulfils the wish stands and works."""
    if not _wish_file().exists():
        return False
    stands = standing()
    same = (stands.num_nodes, stands.gpus_per_node) == (wish.num_nodes, wish.gpus_per_node)
    if not same or not set(wish.addons) <= set(stands.addons) or not api_is_ready():
        return False
    return {machine.name for machine in nodes(wish.num_nodes)} <= ready_nodes()


def down() -> None:
    """Remove everything a bed made, whether it runs, failed half way or was killed."""
    if network.namespaces() or state_dir().exists():
        say("removing the old bed")
    machines.stop_all()
    shutil.rmtree(state_dir(), ignore_errors=True)
    if left := traces():
        raise TestbedError("could not be removed: " + ", ".join(left))


def status() -> dict[str, Any]:
    """Return what stands: machines, nodes, and pods that are not well."""
    if not network.namespaces():
        return {"up": False}
    answer: dict[str, Any] = {"up": api_is_ready(), "kubeconfig": str(kubeconfig_path())}
    answer["machines"] = list(network.namespaces())
    if answer["up"]:
        answer["nodes_ready"] = sorted(ready_nodes())
        answer["pods"] = {
            f"{item['metadata']['namespace']}/{item['metadata']['name']}": item["status"]["phase"]
            for item in get("pods", "-A")["items"]
        }
    return answer
