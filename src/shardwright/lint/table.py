"""Every rule lint knows, in the order of the documentation. Duplicate codes raise at import."""

from __future__ import annotations

from shardwright.lint.finding import Rule
from shardwright.lint.rules import flags, memory, parallelism, ray, rendezvous

RULES: tuple[Rule, ...] = (
    *memory.RULES,
    *parallelism.RULES,
    *ray.RULES,
    *rendezvous.RULES,
    *flags.RULES,
)

if len({rule.code for rule in RULES}) != len(RULES):
    raise AssertionError("two rules share a code")
