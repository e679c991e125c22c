"""Planted faults: what is wrong, which net must catch it, and the nets themselves.

A fault is a file in `faults/`. It changes texts (`old` to `new`) of the spec or of the rendered
manifests, or the cluster itself. The nets are asked in the order in which a user meets them:
reading and planning the spec, lint, preflight, and a rehearsal of the manifests on the cluster. The
first that says something it does not say without the fault has caught it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from testbed.kubectl import kubectl
from testbed.stock import ENGINE_IMAGE

from shardwright.cli.rehearse_cluster import Where, scene_of
from shardwright.cli.resolve import resolve
from shardwright.deploy.dry_run import planned_changes
from shardwright.deploy.preflight import preflight
from shardwright.deploy.rollout import Rollout, Target
from shardwright.drive.clock import SystemClock
from shardwright.drive.kube import KubeCluster
from shardwright.launch.build import build_launch_plan
from shardwright.lint.objects import SourceFile, load
from shardwright.lint.run import lint
from shardwright.model.cluster import Object
from shardwright.model.errors import ShardwrightError
from shardwright.model.finding import Severity
from shardwright.model.launch import Budgets, LaunchPlan
from shardwright.planner.plan import make_plan
from shardwright.render.emit import emit
from shardwright.render.guard import FOLDER
from shardwright.render.objects import kubernetes_objects

FAULTS = Path(__file__).with_name("faults")
STANDIN = Path(__file__).with_name("standin.py")
SPEC = """\
apiVersion: shardwright.dev/v1alpha1
kind: DistributedInference
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  model: {{id: meta-llama/Llama-3.1-405B-Instruct-FP8}}
  cluster: {{gpu: H200-SXM, gpusPerNode: 8, nodes: 2}}
  parallelism: {{tensor: 8, pipeline: 2}}
  launch: {launch}
"""
RAY_IMAGE = "  engine: {name: vllm, image: 'registry.example/vllm-with-ray:0.33.0'}\n"
"""The engine's own image has no Ray."""
FOREIGN = Path(__file__).parents[1] / "golden" / "lint" / "good"
"""Manifests that other people would write, with nothing wrong in them."""
NETS = ("plan", "lint", "preflight", "rehearsal")
Edit = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault. spec, manifests: texts to exchange; cluster: objects to add; taint: of all nodes.
    rehearsal: changes what the rehearsal does in a deployment's place, such as bringing weights;
    foreign: manifests that somebody else wrote, in place of the rendered ones.

    caught_by and code: the net that must catch it, and the code that it must give.
    """

    name: str
    planted: str
    caught_by: str
    code: str
    launch: str = "statefulset"
    foreign: str | None = None
    spec: tuple[Edit, ...] = ()
    manifests: tuple[Edit, ...] = ()
    rehearsal: tuple[Edit, ...] = ()
    cluster: tuple[Object, ...] = ()
    taint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """Which net caught a fault, what it said, and how long all nets up to it took together.

    codes: of a rehearsal, the likeliest cause first.
    """

    net: str
    codes: tuple[str, ...]
    seconds: float


TIMEOUT_S = 20
"""How long members of a rehearsal with the stand-in wait for each other, in place of the half hour
that real weights need."""

BUDGETS = Budgets(
    image_pull_s=60, download_s=90, rendezvous_s=30, load_s=30, compile_s=0, graphs_s=0,
    startup_s=75, engine_ready_s=60, distributed_timeout_s=TIMEOUT_S, drain_s=1,
)  # fmt: skip


def read_faults() -> tuple[Fault, ...]:
    """Read every fault of the folder."""
    return tuple(_fault(path) for path in sorted(FAULTS.glob("*.yaml")))


def _fault(path: Path) -> Fault:
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    caught = body.pop("caught")
    lists = {key: tuple(body.pop(key, ())) for key in ("spec", "manifests", "rehearsal", "cluster")}
    return Fault(name=path.stem, caught_by=caught["by"], code=caught["code"], **lists, **body)


def edited(text: str, edits: tuple[Edit, ...]) -> str:
    """Exchange texts; one that is not there would plant nothing, so it is an error."""
    for edit in edits:
        assert edit["old"] in text, f"nothing to change: {edit['old']!r}"
        text = text.replace(edit["old"], edit["new"])
    return text


@dataclass(slots=True, kw_only=True)
class Field:
    """Where faults are planted: a namespace of a cluster, and a folder for specs."""

    cluster: KubeCluster
    namespace: str
    folder: Path

    def first_catch(self, fault: Fault) -> Catch | None:
        """Ask one net after the other about the planted fault."""
        clean = replace(fault, spec=(), manifests=(), cluster=(), taint=None)
        known = {net: codes for net, codes, _ in self._asked(clean)}
        with self._planted(fault):
            for net, codes, seconds in self._asked(fault):
                if new := tuple(sorted(codes - known.get(net, frozenset()))):
                    return Catch(net=net, codes=new, seconds=seconds)
            began = time.monotonic()
            if found := self.rehearsed(fault):
                took = seconds + time.monotonic() - began
                return Catch(net="rehearsal", codes=found, seconds=took)
        return None

    def _asked(self, fault: Fault) -> Iterator[tuple[str, frozenset[str], float]]:
        """Yield each net, its codes, and the seconds from the first question to its answer."""
        began = time.monotonic()
        if fault.foreign is not None:
            text = edited((FOREIGN / f"{fault.foreign}.yaml").read_text(), fault.manifests)
            yield "lint", _lint(text), time.monotonic() - began
            return
        try:
            resolved = resolve(self.spec(fault))
            planned = make_plan(resolved.request, resolved.shape)
        except ShardwrightError as error:
            yield "plan", frozenset({error.code}), time.monotonic() - began
            return
        codes = frozenset() if planned.fits else frozenset({"does-not-fit"})
        yield "plan", codes, time.monotonic() - began
        plan = build_launch_plan(resolved.request, resolved.shape, planned)
        text = self.manifests(fault, plan)
        yield "lint", _lint(text), time.monotonic() - began
        objects = tuple(yaml.safe_load_all(text))
        codes = frozenset(
            each.code
            for each in preflight(self.cluster, plan, objects)
            if each.severity is Severity.ERROR
        )
        yield "preflight", codes, time.monotonic() - began

    def spec(self, fault: Fault) -> Path:
        """Write the spec with the fault in it."""
        text = SPEC.format(name="llama-405b", namespace=self.namespace, launch=fault.launch)
        path = self.folder / "spec.yaml"
        if "ray" in fault.launch:
            text += RAY_IMAGE
        path.write_text(edited(text, fault.spec), encoding="utf-8")
        return path

    @staticmethod
    def manifests(fault: Fault, plan: LaunchPlan) -> str:
        """Render a plan with the fault in its text."""
        return edited(emit(kubernetes_objects(plan)), fault.manifests)

    def rehearsed(self, fault: Fault) -> tuple[str, ...]:
        """Deploy the rehearsal's manifests with the stand-in; the doctor's findings if it fails."""
        where = Where(kubeconfig=None, context=None, image=ENGINE_IMAGE, out=self.folder)
        scene, _ = scene_of(resolve(self.spec(fault)), self.folder, None, where)
        plan = replace(scene.plan, namespace=self.namespace)
        text = re.sub(
            r"(--distributed-timeout-seconds) \d+", rf"\1 {TIMEOUT_S}", self.manifests(fault, plan)
        )
        text = text.replace("vllm serve ", f"python3 {FOLDER}/standin.py serve ")
        objects = tuple(yaml.safe_load_all(edited(text, fault.rehearsal)))
        for each in objects:
            if each["metadata"]["name"].endswith("-guard"):
                each["data"]["standin.py"] = STANDIN.read_text(encoding="utf-8")
        target = Target(
            name=plan.name, namespace=self.namespace, num_pods=2, budgets=BUDGETS, schedule_s=30
        )
        changes = planned_changes(self.cluster, target, objects)
        rollout = Rollout(self.cluster, SystemClock(), target, print)
        outcome = rollout.deploy(objects, changes)
        if outcome.report is None:
            return ()
        return tuple(each.code for each in outcome.report.findings)

    @contextmanager
    def _planted(self, fault: Fault) -> Iterator[None]:
        for each in fault.cluster:
            meta = {**each["metadata"], "namespace": self.namespace}
            self.cluster.apply({**each, "metadata": meta})
        if fault.taint is None:
            yield
            return
        kubectl("taint", "nodes", "--all", fault.taint)
        try:
            yield
        finally:
            kubectl("taint", "nodes", "--all", fault.taint.partition("=")[0] + "-")


def _lint(text: str) -> frozenset[str]:
    found = lint(load((SourceFile(name="manifests.yaml", text=text),)))
    return frozenset(each.code for each in found)
