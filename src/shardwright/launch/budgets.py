"""Every timer of a launch, derived once from what takes the time: bytes over rate, then compile.

An inner timer is never shorter than the outer one it lives in: what waits for the whole start
(the engine's own readiness, torch.distributed) waits at least as long as the startup probe.
"""

from __future__ import annotations

from shardwright.model.launch import Budgets
from shardwright.model.units import GB, GIB

IMAGE_BYTES = 12 * GIB  # vllm-openai images unpack to 10-13 GiB; assumed
IMAGE_BYTES_PER_S = 50 * 10**6  # a registry over a 1 Gbit/s share; assumed
READ_BYTES_PER_S = 1 * GB  # network file systems; assumed unless spec.storage.readRate says
DOWNLOAD_BYTES_PER_S = 100 * 10**6  # assumed
RENDEZVOUS_S = 300  # as long as upstream's own Ray wait, multi-node-serving.sh
COMPILE_S = 300  # torch.compile and memory profiling of a large model; assumed
GRAPHS_S = 120  # CUDA graph capture; assumed
MARGIN = 1.5


def derive_budgets(
    *,
    checkpoint_bytes: int,
    read_bytes_per_s: int | None,
    num_members: int,
    is_weights_image: bool = False,
) -> Budgets:
    """Derive all timers, seconds, for one group whose every member reads the whole checkpoint.

    is_weights_image: the weights are pulled to the node as an image is.

    >>> b = derive_budgets(checkpoint_bytes=400 * GB, read_bytes_per_s=None, num_members=2)
    >>> b.load_s, b.startup_s, b.engine_ready_s >= b.startup_s
    (600, 1830, True)
    """
    load = round(checkpoint_bytes / (read_bytes_per_s or READ_BYTES_PER_S) * MARGIN)
    load = max(load, 120)
    rendezvous = RENDEZVOUS_S if num_members > 1 else 0
    pulled = IMAGE_BYTES + (checkpoint_bytes if is_weights_image else 0)
    image_pull = round(pulled / IMAGE_BYTES_PER_S * MARGIN)
    startup = _tens((load + COMPILE_S + GRAPHS_S) * MARGIN + rendezvous)
    return Budgets(
        image_pull_s=image_pull,
        download_s=_tens(checkpoint_bytes / DOWNLOAD_BYTES_PER_S * MARGIN + 600),
        rendezvous_s=rendezvous or 60,
        load_s=load,
        compile_s=COMPILE_S,
        graphs_s=GRAPHS_S,
        startup_s=startup,
        engine_ready_s=startup,
        # members of a group may start apart by an image pull
        distributed_timeout_s=startup + (image_pull if num_members > 1 else 0),
        drain_s=120,
    )


def _tens(seconds: float) -> int:
    return -(-round(seconds) // 10) * 10
