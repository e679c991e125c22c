"""What vLLM's log says while it starts.

Facts are from the sources of 0.11.1 to 0.32.0: gpu_model_runner.py ("Model loading took",
"Graph capturing finished"), kv_cache_utils.py ("KV cache size"), compilation/monitor.py
("torch.compile takes"; "took" from 0.19), parallel_state.py ("world_size=").
"""

from __future__ import annotations

from shardwright.engines.reading import Reading
from shardwright.engines.vllm_rehearsal import VLLM_REHEARSAL

VLLM_READING = Reading(
    rank=VLLM_REHEARSAL.rank_pattern,
    role=VLLM_REHEARSAL.role_pattern,
    layers=VLLM_REHEARSAL.layers_pattern,
    progress=r"Loading \w+ checkpoint shards: +(?P<percent>\d+)% Completed",
    weights=(
        r"Model loading took (?P<gib>[\d.]+) GiB(?: memory)? and (?P<seconds>[\d.]+) seconds"
        r"|Loading (?:model )?weights took (?P<only_seconds>[\d.]+) seconds"
    ),
    compiled=r"torch\.compile (?:takes|took) (?P<seconds>[\d.]+) s(?:econds)? in total",
    graphs=r"Graph capturing finished in (?P<seconds>[\d.]+) secs?, took (?P<gib>[\d.]+) GiB",
    kv_tokens=r"KV cache size: (?P<tokens>[\d,]+) tokens",
    started=r"Application startup complete",
    wanted=(
        r"world_size=|checkpoint shards|oading took|weights took|torch\.compile|Graph capturing"
        r"|KV cache size|startup complete|holds layers|pid="
    ),
)
