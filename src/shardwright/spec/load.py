"""From the text of a spec file to a `Request`, or to an error that names every problem in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from shardwright.model import request as r
from shardwright.model.errors import ExitCode, Place, ShardwrightError
from shardwright.model.units import parse_quantity
from shardwright.spec import document as d
from shardwright.spec import serving, site
from shardwright.spec.problems import describe
from shardwright.spec.source import Path, Source, read_source


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A request and the file it came from, so that later errors can name the line."""

    request: r.Request
    source: Source

    def place(self, *path: str) -> Place:
        """Return where a field of `spec` stands: `place("cluster", "gpu")`."""
        full: Path = ("spec", *path)
        return self.source.place(full)


def load(text: str, file: str) -> Loaded:
    """Read a spec file. Raises ShardwrightError listing every problem with its line."""
    source = read_source(text, file)
    if not isinstance(source.value, dict):
        raise ShardwrightError(
            code="spec-empty" if source.value is None else "spec-not-a-mapping",
            what="the file holds no spec" if source.value is None else "the top is not a mapping",
            remedy="write one with `shardwright init`",
            place=Place(file=file, line=1),
            exit_code=ExitCode.USAGE,
        )
    try:
        document = d.Document.model_validate(source.value)
    except ValidationError as error:
        problems = {describe(e, source, d.Document): None for e in error.errors()}
        raise _invalid(list(problems), file) from error
    return Loaded(request=to_request(document), source=source)


def from_mapping(spec: Mapping[str, Any]) -> r.Request:
    """Read a spec that is no file: the whole document, or what stands under `spec` in it.

    Raises ShardwrightError listing every problem; lines are those of the mapping written out.
    """
    import yaml

    whole = spec if "spec" in spec else {"spec": dict(spec)}
    return load(yaml.safe_dump(dict(whole), sort_keys=False), "spec").request


def _invalid(problems: list[str], file: str) -> ShardwrightError:
    def line_of(problem: str) -> int:
        return int(problem[len(file) + 1 :].split(":", 1)[0])

    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    return ShardwrightError(
        code="spec-invalid",
        what=f"{count} in {file}",
        details=tuple(sorted(problems, key=line_of)),
        remedy="mend the lines above; `shardwright schema` gives editors completion",
        exit_code=ExitCode.USAGE,
    )


def to_request(document: d.Document) -> r.Request:
    """Convert a validated document into the frozen values everything else uses."""
    spec = document.spec
    return r.Request(
        name=document.metadata.name or name_from(spec.model.id),
        namespace=document.metadata.namespace,
        labels=_pairs(document.metadata.labels),
        model=r.ModelRef(
            id=spec.model.id,
            config_file=spec.model.config_file,
            path=spec.model.path,
            revision=spec.model.revision,
            source=spec.model.source,
            trust_remote_code=spec.model.trust_remote_code,
        ),
        engine=_engine(spec.engine),
        cluster=_cluster(spec.cluster),
        parallelism=r.Parallelism(**spec.parallelism.model_dump()),
        launch=None if spec.launch == "auto" else r.Mechanism(spec.launch),
        workload=r.Workload(
            input_tokens=spec.workload.input_tokens,
            output_tokens=spec.workload.output_tokens,
            concurrency=spec.workload.concurrency,
            requests_per_s=spec.workload.requests_per_second,
            prefix_tokens=spec.workload.prefix_tokens,
            input_stddev=spec.workload.input_tokens_stddev,
            output_stddev=spec.workload.output_tokens_stddev,
            num_prefixes=spec.workload.num_prefixes,
            trace=spec.workload.trace,
        ),
        slo=r.Slo(
            ttft_s=_seconds(spec.slo.ttft_ms),
            itl_s=_seconds(spec.slo.itl_ms),
            percentile=spec.slo.percentile,
        ),
        bench_image=spec.bench.image,
        storage=r.Storage(
            claim=spec.storage.claim,
            access_mode=spec.storage.access_mode,
            storage_class=spec.storage.storage_class,
            size_bytes=_bytes(spec.storage.size),
            image=spec.storage.image,
            read_bytes_per_s=_bytes(spec.storage.read_rate),
            compile_cache=spec.storage.compile_cache,
        ),
        images=r.Images(
            registry=spec.images.registry,
            pull_secrets=tuple(spec.images.pull_secrets),
            pin_digests=spec.images.pin_digests,
            download=spec.images.download,
            pre_pull=spec.images.pre_pull,
        ),
        network=r.Network(
            proxy=spec.network.proxy,
            no_proxy=tuple(spec.network.no_proxy),
            ca_bundle=spec.network.ca_bundle,
            hf_endpoint=spec.network.hf_endpoint,
            s3_endpoint=spec.network.s3_endpoint,
            s3_region=spec.network.s3_region,
        ),
        scheduling=r.Scheduling(**spec.scheduling.model_dump()),
        access=r.Access(
            api_key_secret=spec.access.api_key_secret,
            hf_token_secret=spec.access.hf_token_secret,
            s3_secret=spec.access.s3_secret,
            route_host=spec.access.route,
            gateway=spec.access.gateway,
            ingress_class=spec.access.ingress_class,
            tls_secret=spec.access.tls_secret,
        ),
        monitoring=r.MonitoringAsked(
            pod_monitor=spec.monitoring.pod_monitor,
            alerts=spec.monitoring.alerts,
            labels=_pairs(spec.monitoring.labels),
        ),
        autoscaling=r.Autoscaling(**spec.autoscaling.model_dump()),
    )


def name_from(model_id: str) -> str:
    """Make an endpoint's name from a model id.

    >>> name_from("meta-llama/Llama-3.1-405B-Instruct-FP8")
    'llama-3-1-405b-instruct-fp8'
    """
    slug = re.sub(r"[^a-z0-9]+", "-", model_id.rsplit("/", 1)[-1].lower()).strip("-")[:53]
    slug = slug.rstrip("-")
    return slug if slug[:1].isalpha() else f"m-{slug}".rstrip("-")[:53]


def _engine(engine: serving.Engine) -> r.EngineRef:
    fields = engine.model_dump(exclude={"extra_args", "env"})
    return r.EngineRef(**fields, extra_args=tuple(engine.extra_args), env=_pairs(engine.env))


def _cluster(cluster: site.Cluster) -> r.ClusterRef:
    fields = cluster.model_dump(exclude={"fabric", "node_selector", "tolerations"})
    return r.ClusterRef(
        **fields,
        fabric=r.parse_fabric(cluster.fabric) if cluster.fabric else None,
        node_selector=_pairs(cluster.node_selector),
        tolerations=tuple(r.Toleration(**t.model_dump()) for t in cluster.tolerations),
    )


def _pairs(mapping: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(mapping.items()))


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _bytes(text: str | None) -> int | None:
    return None if text is None else parse_quantity(text)
