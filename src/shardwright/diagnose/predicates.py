"""Conditions that one line cannot show: comparisons over manifests, commands and tables.

Each is a function from the evidence to the lines that bear it out, none if it does not hold. The
knowledge files name them (`predicate:`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import re2

from shardwright.diagnose.cluster_facts import (
    gpus_gone,
    hit_at,
    named_pod_not_started,
    no_ready_endpoint,
)
from shardwright.diagnose.evidence import Block, Evidence, Hit, Source
from shardwright.diagnose.gpu_telemetry import gpu_broken, gpu_throttled
from shardwright.diagnose.serving_load import WATCHED as LOAD_SETTINGS
from shardwright.diagnose.serving_load import (
    kv_full_queue,
    kv_thrashing,
    pipeline_starved,
    pipeline_starved_long,
    sequence_cap,
    stages_uneven,
)

_TENSOR_PARALLEL: Final = (
    r"(?:--tensor-parallel-size|--tp-size|--tp|-tp|--tp_size|tensor_parallel_size)"
    r"[ =\"',:\]]+(\d{1,6})"
)
_INIT_BEGUN: Final = "watched.init-begun"
_INIT_OVER: Final = "watched.init-over"
WATCHED: Final = {
    _INIT_BEGUN: r"Init torch distributed begin|world_size=\d+ rank=\d+ local_rank=",
    _INIT_OVER: (
        r"Init torch distributed ends|using nccl==|assigned as DP rank|Starting to load model"
    ),
    **LOAD_SETTINGS,
}
"""Lines that a condition needs from anywhere in a log, however long it is."""
_SMALL_MEMLOCK_KIB: Final = 1 << 20
_SHORT_START_S: Final = 600


def _find(blocks: tuple[Block, ...], pattern: str) -> Iterator[tuple[Hit, str]]:
    """Yield (line, first group) of every match."""
    for block in blocks:
        for match in re2.finditer(pattern, block.text):
            yield hit_at(block, match.start(1), value=match.group(1)), match.group(1)


def shm_mount_missing(evidence: Evidence) -> Iterator[Hit]:
    """Find a manifest that asks for several GPUs and mounts nothing on /dev/shm."""
    manifests = evidence.texts(Source.MANIFEST)
    whole = "\n".join(b.text for b in manifests)
    if re2.search(r"/dev/shm\b|--shm-size|--ipc[= ]host|shm_size|hostIPC: *true", whole):  # noqa: S108 - a path to look for
        return
    several = r"nvidia\.com/gpu\"?: *\"?(\d{1,6})"
    for pattern in (several, _TENSOR_PARALLEL):
        for hit, count in _find(manifests, pattern):
            if int(count) > 1:
                yield hit
                return


def node_rank_twice(evidence: Evidence) -> Iterator[Hit]:
    """Find two commands of one group that carry the same --node-rank."""
    seen: dict[str, Hit] = {}
    pattern = r"--node[-_]rank[ =\",]+(\d{1,6})"
    for hit, rank in _find(evidence.texts(Source.MANIFEST), pattern):
        if rank in seen:
            yield seen[rank]
            yield hit
            return
        seen[rank] = hit


def rendezvous_addresses_differ(evidence: Evidence) -> Iterator[Hit]:
    """Find two commands of one group that name different rendezvous addresses."""
    seen: dict[str, Hit] = {}
    pattern = r"--(?:master[-_]addr|dist-init-addr|rdzv[-_]endpoint)[ =\",]+([\w.$()-]{1,200})"
    for hit, address in _find(evidence.texts(Source.MANIFEST), pattern):
        seen.setdefault(address, hit)
    if len(seen) > 1:
        yield from seen.values()


def init_never_ended(evidence: Evidence) -> Iterator[Hit]:
    """Find a log in which ranks began to set up torch.distributed and none got through."""
    over = {(h.document, h.block) for h in evidence.hits.get(_INIT_OVER, ())}
    told: set[tuple[str, int]] = set()
    for begun in evidence.hits.get(_INIT_BEGUN, ()):
        place = (begun.document, begun.block)
        if begun.source is Source.LOG and place not in over | told:
            told.add(place)
            yield begun


def heads_not_divisible(evidence: Evidence) -> Iterator[Hit]:
    """Find a tensor-parallel size that does not divide the model's attention heads."""
    shown = evidence.texts(Source.MANIFEST, Source.PROBE)
    heads = list(_find(shown, r"\"?num_attention_heads\"?[\"']?: *(\d{1,6})"))
    sizes = list(_find(evidence.texts(), _TENSOR_PARALLEL))
    for heads_hit, num_heads in heads[:1]:
        for size_hit, size in sizes[:5]:
            if int(size) > 1 and int(num_heads) % int(size):
                yield size_hit
                yield heads_hit
                return


def low_memlock(evidence: Evidence) -> Iterator[Hit]:
    """Find the answer of `ulimit -l`, in KiB, when it is far below what RDMA registers."""
    shown = evidence.texts(Source.PROBE, Source.LOG)
    for hit, limit in _find(shown, r"ulimit -l[^\n]*\n(\d{1,12})\b"):
        if int(limit) < _SMALL_MEMLOCK_KIB:
            yield hit


def probe_budget_short(evidence: Evidence) -> Iterator[Hit]:
    """Find a container whose startup, or liveness without startup, allows under ten minutes."""
    pattern = (
        r"(Liveness|Startup): +\S[^\n]*?delay=(\d{1,9})s timeout=\d+s period=(\d{1,9})s "
        r"#success=\d+ #failure=(\d{1,9})"
    )
    for block in evidence.texts(Source.CLUSTER):
        probes = list(re2.finditer(pattern, block.text))
        startups = [p for p in probes if p.group(1) == "Startup"]
        for match in startups or probes:
            delay_s, period_s, failures = (int(match.group(n)) for n in (2, 3, 4))
            if delay_s + period_s * failures < _SHORT_START_S:
                yield hit_at(block, match.start())


def _service_fields(evidence: Evidence, kind: str, pattern: str) -> dict[str, Hit]:
    """Collect values in manifests, of Service documents or of all others."""
    found: dict[str, Hit] = {}
    for block in evidence.texts(Source.MANIFEST):
        start = 0
        for document in block.text.split("\n---"):
            is_service = bool(re2.search(r"(?m)^ *\"?kind\"?: *\"?Service\b", document))
            if is_service == (kind == "Service"):
                for match in re2.finditer(pattern, document):
                    found.setdefault(match.group(1), hit_at(block, start + match.start(1)))
            start += len(document) + len("\n---")
    return found


def service_port_mismatch(evidence: Evidence) -> Iterator[Hit]:
    """Find a Service whose numeric targetPort no container of the manifests declares or passes."""
    targets = _service_fields(evidence, "Service", r"targetPort: *(\d{1,5})\b")
    ports = _service_fields(
        evidence, "", r"(?:containerPort: *|--(?:http-)?port[ =\",]+)(\d{1,5})\b"
    )
    if targets and ports and not set(targets) & set(ports):
        yield next(iter(targets.values()))
        yield next(iter(ports.values()))


def service_selector_mismatch(evidence: Evidence) -> Iterator[Hit]:
    """Find a Service that selects `app: X` while the pods carry another `app`."""
    wanted = _service_fields(evidence, "Service", r"selector: *\{? *\n? *app: *\"?([\w.-]+)")
    labels = _service_fields(evidence, "", r"labels: *\{? *\n? *app: *\"?([\w.-]+)")
    if wanted and labels and not set(wanted) & set(labels):
        yield next(iter(wanted.values()))
        yield next(iter(labels.values()))


def network_inside_host(evidence: Evidence) -> Iterator[Hit]:
    """Find a channel over the network between two GPUs of one host.

    NCCL writes ranks with their CUDA devices, `1[1] -> 0[0]`. Ranks are dealt out host by host, so
    rank minus device is the same for two ranks of one host, and of no others.
    """
    channel = (
        r"NCCL INFO Channel \S+ : (\d{1,6})\[(\d{1,2})\] -> (\d{1,6})\[(\d{1,2})\] "
        r"(?:\[\w+\] )?via (NET/\S+)"
    )
    for block in evidence.texts(Source.LOG):
        for match in re2.finditer(channel, block.text):
            rank, device, other_rank, other_device = (int(match.group(n)) for n in (1, 2, 3, 4))
            if rank - device == other_rank - other_device:
                yield hit_at(block, match.start(1), way=match.group(5))
                break


def planned_fabric(evidence: Evidence) -> Iterator[Hit]:
    """Return the line of the spec that says what connects members, and what it asks for there."""
    planned = evidence.planned
    if planned is None:
        return
    wanted = {"fabric": str(planned.links.fabric)} if planned.links.fabric else {}
    asked = planned.links.rdma_resource
    wanted |= {"resource": asked} if asked else {"unasked": "cluster.rdmaResource"}
    for field in ("cluster.fabric", "cluster.rdmaResource"):
        if field in planned.lines:
            yield replace(planned.lines[field], values=wanted)
            return


def planned_scaleup(evidence: Evidence) -> Iterator[Hit]:
    """Return the line of the spec whose GPU promises NVLink or xGMI inside a member."""
    planned = evidence.planned
    if planned is not None and planned.links.scaleup and "cluster.gpu" in planned.lines:
        yield replace(planned.lines["cluster.gpu"], values={"scaleup": planned.links.scaleup})


def topology_without_scaleup(evidence: Evidence) -> Iterator[Hit]:
    """Find a matrix of `nvidia-smi topo -m` without any NVLink where the plan counts on it."""
    planned = evidence.planned
    if planned is None or not planned.links.scaleup or "NVLink" not in planned.links.scaleup:
        return
    for block in evidence.blocks:
        rows = list(re2.finditer(r"(?m)^GPU\d+[ \t]+(?:X|[A-Z]+\d*)[ \t].*$", block.text))
        ways = {word for row in rows for word in row.group().split()[1:]}
        if len(rows) > 1 and "X" in ways and not any(re2.match(r"NV\d", way) for way in ways):
            others = sorted(ways & {"PIX", "PXB", "PHB", "NODE", "SYS"})
            yield hit_at(block, rows[0].start(), topology="/".join(others))
            return


PREDICATES: Final[dict[str, Callable[[Evidence], Iterator[Hit]]]] = {
    "gpu-broken": gpu_broken,
    "gpu-throttled": gpu_throttled,
    "gpus-gone": gpus_gone,
    "heads-not-divisible": heads_not_divisible,
    "init-never-ended": init_never_ended,
    "kv-full-queue": kv_full_queue,
    "kv-thrashing": kv_thrashing,
    "low-memlock": low_memlock,
    "named-pod-not-started": named_pod_not_started,
    "no-ready-endpoint": no_ready_endpoint,
    "network-inside-host": network_inside_host,
    "node-rank-twice": node_rank_twice,
    "pipeline-starved": pipeline_starved,
    "pipeline-starved-long": pipeline_starved_long,
    "planned-fabric": planned_fabric,
    "planned-scaleup": planned_scaleup,
    "probe-budget-short": probe_budget_short,
    "rendezvous-addresses-differ": rendezvous_addresses_differ,
    "sequence-cap": sequence_cap,
    "service-port-mismatch": service_port_mismatch,
    "service-selector-mismatch": service_selector_mismatch,
    "shm-mount-missing": shm_mount_missing,
    "stages-uneven": stages_uneven,
    "topology-without-scaleup": topology_without_scaleup,
}
