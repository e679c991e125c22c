"""Every rule lint knows, in the order of the documentation. Duplicate codes raise at import."""

from __future__ import annotations

from shardwright.lint.finding import Rule
from shardwright.lint.rules import (
    admission,
    arguments,
    cache,
    devices,
    disruption,
    flags,
    images,
    lifecycle,
    listening,
    memory,
    metrics,
    network,
    parallelism,
    probes,
    ranks,
    ray,
    rendezvous,
    security,
    serve,
    service_links,
    services,
    triton,
    volumes,
    weights,
)

RULES: tuple[Rule, ...] = (
    *parallelism.RULES,
    *ranks.RULES,
    *rendezvous.RULES,
    *services.RULES,
    *service_links.RULES,
    *lifecycle.RULES,
    *ray.RULES,
    *serve.RULES,
    *triton.RULES,
    *admission.RULES,
    *arguments.RULES,
    *flags.RULES,
    *images.RULES,
    *memory.RULES,
    *devices.RULES,
    *cache.RULES,
    *volumes.RULES,
    *weights.RULES,
    *probes.RULES,
    *listening.RULES,
    *network.RULES,
    *security.RULES,
    *disruption.RULES,
    *metrics.RULES,
)

if len({rule.code for rule in RULES}) != len(RULES):
    raise AssertionError("two rules share a code")
