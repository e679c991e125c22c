"""The load tool as a Job: applied, watched, read from its log, removed whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from shardwright.bench import aiperf, vllm_bench
from shardwright.bench.aiperf import Target
from shardwright.bench.endpoint import Endpoint
from shardwright.bench.failure import all_failed
from shardwright.bench.job import KEPT_S, WORK, PodTool, job_objects, owned
from shardwright.bench.pods.send_load import LogCut, unpacked
from shardwright.bench.progress import progress_of
from shardwright.bench.run import ResultFiles
from shardwright.bench.scenario import Scenario
from shardwright.model.cluster import OUTAGE_S, TRANSIENT, Cluster, Object, pods_of_job, reference
from shardwright.model.errors import ExitCode, ShardwrightError
from shardwright.model.running import Clock

LOOK_S = 3.0
NO_IMAGE = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"})
START_S = 600.0
"""Seconds a pod may take to start: nodes to scale up, an image to pull."""
GONE_S = 60.0
"""Seconds that a deleted Job and its pod may take to be gone: a few on a node that answers."""
ALL_LINES = 1_000_000


_T = TypeVar("_T")


class ImageMissing(Exception):  # noqa: N818  (a state of the cluster, seen and handled)
    """The image of the load tool cannot be pulled here."""


@dataclass(slots=True, kw_only=True)
class JobTool:
    """Runs loads as Jobs. tools: in order of preference; one whose image cannot be pulled is given
    up for the next, once. folder: where result files are kept here. say: called with lines that
    stay; show: with how far a load is, again and again, and with nothing at its end.
    """

    cluster: Cluster
    clock: Clock
    endpoint: Endpoint
    tools: tuple[PodTool, ...]
    folder: Path
    say: Callable[[str], None]
    show: Callable[[str], None]
    trace: str | None = None

    def run(self, scenario: Scenario, target: Target, name: str) -> ResultFiles:
        """Send the load and read back what the tool wrote."""
        if scenario.trace:
            scenario = replace(scenario, trace=f"{WORK}/trace.jsonl")
        while True:
            tool = self.tools[0]
            self.say(f"{name}: {scenario.num_requests} requests at {scenario.load}, by {tool.name}")
            try:
                found = self._run(tool, scenario, target, name)
                return self._kept(tool, found, name)
            except ImageMissing as missing:
                if len(self.tools) == 1:
                    raise _no_image(str(missing)) from missing
                self.say(f"{missing}; using {self.tools[1].name} of {self.tools[1].image} instead")
                self.tools = self.tools[1:]

    def _run(self, tool: PodTool, scenario: Scenario, target: Target, name: str) -> dict[str, str]:
        suffix = name.replace("concurrency-", "c").replace("/", "-")
        title = f"{self.endpoint.name[:40]}-bench-{suffix}"[:60].rstrip("-")
        objects = job_objects(title, tool, self.endpoint, scenario, target, self.trace)
        try:
            self._remove(objects)  # of a run that was interrupted: a Job cannot be changed
            self.cluster.apply(objects[0])
            job = self.cluster.apply(objects[1])
            self.cluster.apply(owned(objects[0], job))
            return self._result(tool, objects[1], scenario)
        finally:
            self.show("")
            self._clean(objects)

    def _clean(self, objects: tuple[Object, ...]) -> None:
        """Remove, and let no trouble with it hide what came of the load."""
        try:
            self._remove(objects)
        except ShardwrightError as error:
            name, space = objects[1]["metadata"]["name"], objects[1]["metadata"]["namespace"]
            self.say(
                f"Job {name} is not removed: {error.what}; the cluster removes it {KEPT_S} s after "
                f"its end, and now: kubectl delete job,configmap {name} -n {space}"
            )

    def _remove(self, objects: tuple[Object, ...]) -> None:
        for obj in reversed(objects):
            self.cluster.delete(reference(obj))
        began = self.clock.now()
        while pods := pods_of_job(self.cluster, objects[1]) or self.cluster.get(
            reference(objects[1])
        ):
            if self.clock.now() - began > GONE_S:
                raise _left_over(objects[1], pods if isinstance(pods, tuple) else ())
            self.clock.sleep(LOOK_S)

    def _result(self, tool: PodTool, job: Object, scenario: Scenario) -> dict[str, str]:
        began, pod = self.clock.now(), None
        while True:
            pods = self._patiently(lambda: pods_of_job(self.cluster, job))
            pod = pods[0] if pods else None
            phase = pod["status"].get("phase") if pod else None
            if pod is not None and phase in ("Succeeded", "Failed"):
                break
            if pod is not None and phase == "Pending":
                self._check_image(tool, pod)
            if phase in (None, "Pending") and self.clock.now() - began > START_S:
                raise _never_started(job, pod)
            self.show(self._how_far(pod, scenario))
            self.clock.sleep(LOOK_S)
        ref = reference(pod)
        log = self._patiently(lambda: self.cluster.logs(ref, "bench", tail_lines=ALL_LINES))
        try:
            files, status = unpacked(log)
        except LogCut as cut:
            raise _log_cut(job) from cut
        if status != 0 or not files:
            raise all_failed(files.get(aiperf.RECORDS)) or _failed(tool, status, log)
        return files

    def _how_far(self, pod: Object | None, scenario: Scenario) -> str:
        """The last thing the pod has said; one line of its log, for it may print megabytes."""
        if pod is None or pod["status"].get("phase") != "Running":
            return f"  the pod is {_state(pod)}"
        log = self._patiently(lambda: self.cluster.logs(reference(pod), "bench", tail_lines=1))
        return progress_of(log, scenario)

    def _patiently(self, ask: Callable[[], _T]) -> _T:
        """Ask again while the API server is away: the load goes on without us."""
        away_since: float | None = None
        while True:
            try:
                return ask()
            except ShardwrightError as error:
                now = self.clock.now()
                is_new = away_since is None
                away_since = now if away_since is None else away_since
                if error.code not in TRANSIENT or now - away_since > OUTAGE_S:
                    raise
                if is_new:
                    self.say(f"{error.what}; waiting up to {OUTAGE_S:.0f} s for it")
                self.clock.sleep(LOOK_S)

    def _check_image(self, tool: PodTool, pod: Object) -> None:
        for container in pod["status"].get("containerStatuses", []):
            waiting = container.get("state", {}).get("waiting") or {}
            if waiting.get("reason") in NO_IMAGE:
                message = f"the cluster cannot pull {tool.image}"
                raise ImageMissing(message)

    def _kept(self, tool: PodTool, files: dict[str, str], name: str) -> ResultFiles:
        place = self.folder / name
        place.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (place / file).write_text(text, encoding="utf-8")
        summary = aiperf.SUMMARY if tool.is_aiperf else vllm_bench.RESULT
        if summary not in files:
            raise _failed(tool, 0, "the result is not among what the pod printed")
        return ResultFiles(
            folder=str(place),
            summary=files[summary],
            records=files.get(aiperf.RECORDS),
            server_metrics=files.get(aiperf.SERVER_METRICS),
            server_series=files.get(aiperf.SERVER_SERIES),
            gpu_series=files.get(aiperf.GPU_SERIES),
            file=summary,
        )


def _state(pod: Object | None) -> str:
    status = pod["status"] if pod else {}
    reasons = [
        container["state"]["waiting"]["reason"]
        for container in status.get("containerStatuses", [])
        if container.get("state", {}).get("waiting", {}).get("reason")
    ]
    return str(reasons[0] if reasons else status.get("phase", "not created yet"))


def _no_image(what: str) -> ShardwrightError:
    return ShardwrightError(
        code="bench-image-missing",
        what=what,
        remedy="mirror it and pass --image or spec.bench.image; or pass --tool vllm, which runs in "
        "the engine's own image",
        exit_code=ExitCode.FAILURE,
    )


def _never_started(job: Object, pod: Object | None) -> ShardwrightError:
    conditions = (pod or {}).get("status", {}).get("conditions", [])
    why = next((c.get("message") for c in conditions if c.get("status") == "False"), None)
    return ShardwrightError(
        code="bench-not-started",
        what=f"the pod of Job {job['metadata']['name']} did not start within {START_S:.0f} s",
        cause=why,
        remedy="make room for one CPU and 4 GiB, or pass the endpoint's URL and load it from here",
        exit_code=ExitCode.FAILURE,
    )


def _log_cut(job: Object) -> ShardwrightError:
    return ShardwrightError(
        code="bench-log-cut",
        what=f"the log of Job {job['metadata']['name']} lacks its beginning, and results with it",
        cause="the kubelet keeps the end of a long log only: 10 MiB unless containerLogMaxSize "
        "says otherwise, some 25,000 requests of AIPerf",
        remedy="pass fewer --requests, or --runs for several shorter runs; or pass the endpoint's "
        "URL and load it from inside the network",
        exit_code=ExitCode.FAILURE,
    )


def _left_over(job: Object, pods: tuple[Object, ...]) -> ShardwrightError:
    name, space = job["metadata"]["name"], job["metadata"]["namespace"]
    node = next((pod.get("spec", {}).get("nodeName") for pod in pods), None)
    return ShardwrightError(
        code="bench-left-over",
        what=f"Job {name} or its pod is still there {GONE_S:.0f} s after it was deleted",
        cause=f"node {node} does not say that the pod has ended" if node else None,
        remedy=f"kubectl get job,pod -l job-name={name} -n {space}; then try again",
        exit_code=ExitCode.FAILURE,
    )


def _failed(tool: PodTool, status: int | None, log: str) -> ShardwrightError:
    lines = [line for line in log.splitlines() if line.strip() and not line.startswith("==")]
    told = [line for line in lines if "rror" in line or "xception" in line] or lines
    ended = "ended without a word" if status is None else f"ended with status {status}"
    return ShardwrightError(
        code="load-tool-failed",
        what=f"{tool.name} in {tool.image} {ended}",
        details=tuple(line[:200] for line in told[-5:]),
        remedy="check that the endpoint answers in the cluster and that its tokenizer can be read",
        exit_code=ExitCode.FAILURE,
    )
