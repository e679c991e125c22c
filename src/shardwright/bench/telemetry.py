"""What the GPUs did during the run, from what AIPerf scraped of a DCGM exporter."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """Means over time and GPUs. utilization: 0 to 1, the busiest and the idlest GPU's too;
    power_w: of one GPU; memory_bytes: the most that any GPU used.
    """

    num_gpus: int
    utilization: float | None
    utilization_least: float | None
    power_w: float | None
    memory_bytes: float | None

    def explain(self) -> str:
        """Say it in one line."""
        parts = []
        if self.utilization is not None:
            parts.append(f"{self.utilization:.0%} busy on average")
            least = self.utilization_least
            if least is not None and least < self.utilization - 0.05:
                parts.append(f"the idlest {least:.0%}")
        if self.power_w is not None:
            parts.append(f"{self.power_w:.0f} W each")
        if self.memory_bytes is not None:
            parts.append(f"up to {self.memory_bytes / 1e9:.1f} GB used")
        return f"{self.num_gpus} GPUs: {', '.join(parts) or 'nothing reported'}"


def read_gpu_use(series: str, start_s: float, end_s: float) -> GpuUse | None:
    """Read gpu_telemetry_export.jsonl between two instants, seconds since the epoch: watts, percent
    and 10^9 bytes. None if no GPU was seen then.
    """
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for line in series.splitlines():
        try:
            record = json.loads(line)
            gpu, data = str(record["gpu_uuid"]), record["telemetry_data"]
            is_within = start_s <= int(record["timestamp_ns"]) * 1e-9 <= end_s
        except (ValueError, KeyError, TypeError):
            continue
        if not is_within:
            continue
        for name, value in data.items():
            if isinstance(value, int | float):
                found[gpu][name.removeprefix("nvidia_").removeprefix("amd_")].append(float(value))
    if not found:
        return None

    def means(name: str) -> list[float]:
        return [fmean(values[name]) for values in found.values() if values.get(name)]

    busy, power = means("gpu_utilization"), means("power_usage")
    memory = [max(v["memory_used"]) for v in found.values() if v.get("memory_used")]
    return GpuUse(
        num_gpus=len(found),
        utilization=fmean(busy) / 100 if busy else None,
        utilization_least=min(busy) / 100 if busy else None,
        power_w=fmean(power) if power else None,
        memory_bytes=max(memory) * 1e9 if memory else None,
    )
