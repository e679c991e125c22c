"""The members of a group: what each runs, holds and mounts, and which ranks sit where."""

from __future__ import annotations

from shardwright.engines import Engine, Serve
from shardwright.launch.compile_cache import cache_mounts, with_cache
from shardwright.launch.images import mirrored
from shardwright.launch.ssh import ssh_mounts
from shardwright.model.launch import Member, Rank, Role
from shardwright.model.plan import Plan
from shardwright.model.request import Request
from shardwright.model.units import GIB
from shardwright.model.volumes import Mount, VolumeKind

MODELS_PATH = "/models"
WEIGHTS = "models"
# Resident memory of one engine worker (CUDA context, pinned buffers, one shard in flight) and of
# the API server; assumed, the rehearsal and the cluster report what was used.
MEMORY_PER_RANK = 12 * GIB
MEMORY_PER_MEMBER = 16 * GIB
CPU_MILLIS_PER_RANK = 2000
CPU_MILLIS_PER_MEMBER = 4000


def weights_path(request: Request) -> str:
    """Directory of the weights inside every member; each pinned revision has its own.

    A new group may download another revision while the old one serves from the same claim.
    """
    model = request.model
    if model.path:
        return model.path
    if request.storage.image:
        return MODELS_PATH
    folder = f"{MODELS_PATH}/{model.id}"
    if model.source or model.revision in (None, "main"):  # a bucket has no revisions
        return folder
    # a slash, as in refs/pr/1, would be a folder below another, or lead out of this one
    return f"{folder}@{model.revision.replace('/', '--')}"


def members_of(serve: Serve, engine: Engine) -> tuple[Member, ...]:
    """Make the members of one group, the leader first."""
    ranks = place_ranks(serve.plan, serve.num_members)
    shm = engine.shm_bytes(len(ranks[0]), len({rank.data for rank in ranks[0]}), serve.rendezvous)
    cluster = serve.request.cluster
    extra = ((cluster.rdma_resource, 1),) if cluster.rdma_resource else ()
    needs_lock = cluster.rdma_resource and cluster.rdma_memlock == "capability"
    # a capability that is added reaches root alone: Kubernetes grants no ambient ones (KEP-2763)
    run_as = None if needs_lock else engine.run_as(serve.request, serve.version)
    cache = cache_mounts(serve, engine, WEIGHTS)
    mounts = (
        _weights(serve),
        *cache,
        Mount(volume="shm", kind=VolumeKind.SHARED_MEMORY, path="/dev/shm", size_bytes=shm),  # noqa: S108
    )
    roles = (Role.LEADER, *(Role.WORKER,) * (len(ranks) - 1))
    return tuple(
        Member(
            role=roles[index],
            index=index,
            image=serve.image,
            processes=tuple(
                with_cache(each, engine, cache) for each in engine.processes(serve, roles[index])
            ),
            ranks=local,
            gpus=len(local),
            cpu_millis=CPU_MILLIS_PER_MEMBER + CPU_MILLIS_PER_RANK * len(local),
            memory_bytes=MEMORY_PER_MEMBER + MEMORY_PER_RANK * len(local) + shm,
            shm_bytes=shm,
            extra_resources=extra,
            mounts=(*mounts, *_settings(serve, engine), *ssh_mounts(serve)),
            run_as=run_as,
            capabilities=("IPC_LOCK",) if needs_lock else (),
        )
        for index, local in enumerate(ranks)
    )


def _weights(serve: Serve) -> Mount:
    image = serve.request.storage.image
    return Mount(
        volume=WEIGHTS,
        kind=VolumeKind.IMAGE if image else VolumeKind.CLAIM,
        path=MODELS_PATH,
        source=mirrored(serve.request, image) if image else serve.claim,
        is_read_only=True,
    )


def _settings(serve: Serve, engine: Engine) -> tuple[Mount, ...]:
    if engine.settings_path is None:
        return ()
    return (
        Mount(
            volume="settings",
            kind=VolumeKind.CONFIG,
            path=engine.settings_path,
            source=engine.configs(serve)[0].name,
            is_read_only=True,
        ),
    )


def place_ranks(plan: Plan, num_members: int) -> tuple[tuple[Rank, ...], ...]:
    """Deal ranks to members: tensor-parallel neighbours first, then stages, then data copies."""
    layout = plan.layout
    per_member = layout.gpus_per_replica // num_members
    ranks = []
    for index in range(layout.gpus_per_replica):
        tensor = index % layout.tensor_parallel
        pipeline = index // layout.tensor_parallel % layout.pipeline_parallel
        data = index // (layout.tensor_parallel * layout.pipeline_parallel)
        stage = plan.stages[pipeline]
        ranks.append(
            Rank(
                index=index,
                tensor=tensor,
                pipeline=pipeline,
                data=data,
                expert=(data * layout.tensor_parallel + tensor) % layout.expert_parallel,
                local_device=index % per_member,
                layers=(stage.first_layer, stage.last_layer),
            )
        )
    starts = range(0, layout.gpus_per_replica, per_member)
    return tuple(tuple(ranks[i : i + per_member]) for i in starts)
