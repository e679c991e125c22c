"""What is loaded, and from where: a URL from here, an endpoint of a cluster by a Job beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shardwright.model.errors import usage_error

if TYPE_CHECKING:
    from shardwright.bench.aiperf import Target
    from shardwright.bench.endpoint import Startup
    from shardwright.bench.run import LoadTool
    from shardwright.cli.bench_question import Question
    from shardwright.cli.progress import Progress
    from shardwright.model.cluster import Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The options that say where the load goes. spec: of the target, or beside it."""

    url: str | None
    name: str | None
    spec: Path | None
    namespace: str | None = None
    tokenizer: str | None = None
    api_key_env: str | None = None
    dcgm_url: str | None = None
    image: str | None = None
    tool: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A load tool, its target, and how the endpoint started where the cluster knows.

    engine: its name and version; empty where it does not tell. served: asks the endpoint for the
    models it serves now.
    """

    tool: LoadTool
    target: Target
    facts: tuple[tuple[str, str], ...]
    engine: str = ""
    served: Callable[[], tuple[str, ...]] = tuple
    startup: tuple[Startup, ...] = ()


def told_apart(target: str, url: str | None, spec: Path | None) -> tuple[str | None, Path | None]:
    """Tell what TARGET is: a URL has a scheme, a spec is a file that exists, else it is a name.

    Returns the URL, if the load goes to one, and the spec, if there is one.
    """
    if "://" in target:
        return _base(target), spec
    url = None if url is None else _base(url)
    path = Path(target)
    if path.is_file():
        if spec is not None:
            raise usage_error(
                "two-specs", f"{target} is a spec, and so is --spec {spec}",
                remedy="pass one of them",
            )  # fmt: skip
        return url, path
    if ":" in target:  # which no name of a cluster holds
        raise usage_error(
            "target-unknown",
            f"{target!r} is neither a URL nor an endpoint's name",
            remedy=f"write http://{target} if it is an address",
        )
    if path.suffix in {".yaml", ".yml"} or "/" in target:
        raise usage_error(
            "target-unknown",
            f"{target!r} is neither a URL nor a file that exists",
            remedy="pass a URL such as http://host:port, a spec file, or an endpoint's name",
        )
    return url, spec


def _base(url: str) -> str:
    """The address without the /v1 that OpenAI clients are given; the load tool adds it."""
    return url.rstrip("/").removesuffix("/v1")


def aim_here(wanted: Wanted, url: str, question: Question, progress: Progress) -> Aim:
    """Load a URL from this machine, by AIPerf in an environment of its own."""
    from shardwright.bench.aiperf import Target
    from shardwright.cli.bench_tool import find_aiperf
    from shardwright.drive.aiperf import AiperfProcess
    from shardwright.drive.openai import engine_version, served_models

    if wanted.tool == "vllm" or wanted.image:
        raise usage_error(
            "tool-in-clusters-only",
            "--tool vllm and --image are for endpoints of a cluster; this load is sent from here",
            remedy="leave them out, or name the endpoint instead of its URL",
        )
    if wanted.tokenizer and wanted.tokenizer[0] in "/.~" and not Path(wanted.tokenizer).is_dir():
        raise usage_error(
            "tokenizer-not-found",
            f"--tokenizer {wanted.tokenizer} is no directory of this machine",
            remedy="pass the directory that holds tokenizer.json, or a Hugging Face id",
        )
    key = _api_key(wanted.api_key_env)
    model = served_models(url, key)[0]
    tool = AiperfProcess(
        executable=find_aiperf(progress.say),
        folder=question.folder.absolute(),
        api_key=key,
        say=progress.say,
        show=progress.wait,
    )
    target = Target(
        url=url,
        model=model,
        tokenizer=wanted.tokenizer or model,
        has_api_key=key is not None,
        dcgm_url=wanted.dcgm_url,
    )
    return Aim(
        tool=tool, target=target, facts=(("loaded from", "this machine"),),
        engine=engine_version(url), served=lambda: served_models(url, key),
    )  # fmt: skip


def aim_in_cluster(wanted: Wanted, cluster: Cluster, question: Question, progress: Progress) -> Aim:
    """Load an endpoint by a Job in its namespace."""
    from shardwright.bench.aiperf import Target
    from shardwright.bench.endpoint import (
        engine_version,
        find_dcgm,
        find_endpoint,
        served_models,
    )
    from shardwright.bench.failure import model_not_served
    from shardwright.bench.in_cluster import JobTool
    from shardwright.bench.job import AIPERF_IMAGE, PodTool
    from shardwright.drive.clock import SystemClock

    request = question.resolved.request if question.resolved else None
    name = wanted.name or (request.name if request else "")
    space = wanted.namespace or (request.namespace if request else None)
    endpoint = find_endpoint(cluster, name, space or _namespace(cluster))
    served = served_models(cluster, endpoint)
    if served and endpoint.model not in served:
        raise model_not_served(endpoint.model, served)
    image = wanted.image or (request.bench_image if request else None)
    tools: tuple[PodTool, ...] = (
        PodTool(name="aiperf", image=image or AIPERF_IMAGE),
        PodTool(name="vllm", image=endpoint.image),
    )
    if wanted.tool != "auto":
        tools = tuple(tool for tool in tools if tool.name == wanted.tool)
    trace = question.trace.read_text(encoding="utf-8") if question.trace else None
    tool = JobTool(
        cluster=cluster, clock=SystemClock(), endpoint=endpoint, tools=tools,
        folder=question.folder.absolute(), say=progress.say, show=progress.wait, trace=trace,
    )  # fmt: skip
    target = Target(
        url=endpoint.url,
        model=endpoint.model,
        tokenizer=wanted.tokenizer or endpoint.weights or endpoint.model,
        has_api_key=endpoint.api_key is not None,
        dcgm_url=wanted.dcgm_url or find_dcgm(cluster),
    )
    facts = (
        ("loaded from", f"a Job in namespace {endpoint.namespace}"),
        ("engine image", endpoint.image),
    )
    return Aim(
        tool=tool, target=target, facts=facts, startup=endpoint.startup,
        engine=engine_version(cluster, endpoint), served=lambda: served_models(cluster, endpoint),
    )  # fmt: skip


def _namespace(cluster: Cluster) -> str:
    return str(getattr(cluster, "default_namespace", "default"))


def _api_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not os.environ.get(variable):
        raise usage_error(
            "api-key-missing",
            f"the environment variable {variable} is not set",
            remedy=f"export {variable}=…",
        )
    return os.environ[variable]
