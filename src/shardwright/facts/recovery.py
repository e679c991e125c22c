"""What quantization cost in accuracy, where somebody measured it and published the figure.

Data: data/accuracy_recovery.csv. No figure is carried over from one model to another.
"""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.facts.models import same_model
from shardwright.facts.table import rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Score of a quantized checkpoint over that of its base, as a share of 1."""

    checkpoint: str
    benchmark: str
    share: float
    published: str
    source: str

    def __str__(self) -> str:
        """Write the figure with where and when it comes from."""
        return f"{100 * self.share:.1f} % of the base on {self.benchmark} ({self.published})"


def recovery(model_id: str, scheme: str) -> Recovery | None:
    """Return the published figure for one model under one scheme, or None: unknown.

    >>> round(recovery("meta-llama/Llama-3.3-70B-Instruct", "int8").share, 3)
    0.994
    >>> recovery("meta-llama/Llama-3.1-405B", "fp8") is None
    True
    """
    for row in rows("accuracy_recovery.csv"):
        if row["scheme"] == scheme and same_model(row["base"], model_id):
            return Recovery(
                checkpoint=row["checkpoint"],
                benchmark=row["benchmark"],
                share=float(row["score"]) / float(row["base_score"]),
                published=row["published"],
                source=row["source"],
            )
    return None
