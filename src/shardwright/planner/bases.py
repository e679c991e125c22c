"""What a plan may choose from besides the layout: GPU types, engines and quantizations.

A spec names one of each, since it is what gets deployed; `shardwright plan --gpu A,B` asks about
more. Each combination becomes a request of its own, or a reason why it cannot run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

from shardwright.engines import Engine, find_engine
from shardwright.facts.gpus import Gpu, gpu
from shardwright.model.plan import Basis, Rejected
from shardwright.model.request import Request, Workload
from shardwright.model.shape import ModelShape
from shardwright.planner.prices import Prices
from shardwright.shape.quantization import requantized

LEAST_MODEL_LEN = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Names the user allows; an empty list leaves the spec's own."""

    gpus: tuple[str, ...] = ()
    engines: tuple[str, ...] = ()
    quantizations: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether anything besides the layout is to be chosen."""
        return any(len(x) > 0 for x in (self.gpus, self.engines, self.quantizations))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One basis made a request. shape: as held there; usd_per_gpu_hour None: no price known."""

    basis: Basis
    request: Request
    shape: ModelShape
    engine: Engine
    max_model_len: int
    usd_per_gpu_hour: float | None


def ask_of(request: Request, shape: ModelShape, prices: Prices) -> Ask:
    """Return the request on its own basis."""
    device = gpu(request.cluster.gpu)
    price = prices.of(device.id)
    asked = request.engine.quantization
    return Ask(
        basis=Basis(gpu=device.id, engine=request.engine.name, quantization=asked),
        request=request,
        shape=requantized(shape, asked or "none"),
        engine=find_engine(request.engine.name),
        max_model_len=request.engine.max_model_len
        or default_max_model_len(request.workload, shape.max_position_embeddings),
        usd_per_gpu_hour=price.usd_per_hour if price else None,
    )


def asks_of(
    request: Request, shape: ModelShape, allowed: Allowed, prices: Prices
) -> tuple[list[Ask], list[Rejected]]:
    """Return every allowed combination that can run, and the reason of every other."""
    asks: list[Ask] = []
    rejected: list[Rejected] = []
    for device, engine, quantization in product(
        allowed.gpus or (request.cluster.gpu,),
        allowed.engines or (request.engine.name,),
        allowed.quantizations or (request.engine.quantization,),
    ):
        asked = None if quantization in (None, "none") else quantization
        ask = ask_of(_as_asked(request, gpu(device).id, engine, asked), shape, prices)
        refusal = refuse(ask, shape)
        if refusal is None:
            asks.append(ask)
        else:
            rejected.append(refusal)
    return asks, rejected


def _as_asked(request: Request, device: str, engine: str, quantization: str | None) -> Request:
    """Return the request on another basis; another engine's version and image do not carry over."""
    named = request.engine
    if engine != named.name:
        named = replace(named, name=engine, version=None, image=None, extra_args=(), env=())
    if device == gpu(request.cluster.gpu).id:
        device = request.cluster.gpu
    return replace(
        request,
        engine=replace(named, quantization=quantization),
        cluster=replace(request.cluster, gpu=device),
    )


def refuse(ask: Ask, published: ModelShape) -> Rejected | None:
    """Return why nothing can run on a basis, None if something may."""
    device, asked = gpu(ask.basis.gpu), ask.basis.quantization
    own = published.quantization
    code = reason = ""
    if asked and own is not None and own.method != asked:
        code = "already-quantized"
        reason = f"the checkpoint is published in {own.method}; {asked} would be another checkpoint"
    elif asked and (lack := _lacks(ask.engine, device, asked)):
        code, reason = "quantization-not-on-gpu", lack
    elif not device.bf16_flops:
        code = "gpu-without-figures"
        reason = f"no peak rate of {device.id} is known, so its speed cannot be told"
    if not code:
        return None
    return Rejected(layout=None, code=code, reason=reason, basis=ask.basis)


def _lacks(engine: Engine, device: Gpu, quantization: str) -> str:
    """Say which GPUs an engine's kernels for a format need, if this is none of them."""
    least = engine.quantizations.get(quantization)
    if least is None:
        return f"{engine.name} has no {quantization} kernels that we know of"
    if device.is_amd:
        return "" if quantization == "fp8" else f"no {quantization} kernels for AMD that we know of"
    have = float(device.compute_capability or 0)
    if have >= least:
        return ""
    return (
        f"{engine.name} runs {quantization} on compute capability {least} and later, "
        f"{device.id} has {have}"
    )


def default_max_model_len(workload: Workload, max_position_embeddings: int) -> int:
    """Room for four times the asked request, at least 8192 tokens, at most the model's own limit.

    >>> default_max_model_len(Workload(input_tokens=4096, output_tokens=512), 131072)
    18432
    """
    asked = workload.input_tokens + workload.output_tokens
    return min(max(4 * asked, LEAST_MODEL_LEN), max_position_embeddings)
