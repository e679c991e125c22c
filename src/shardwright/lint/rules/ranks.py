"""What each node of a group is told about itself: rank, number of nodes, where to meet."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.bundle import Member
from shardwright.lint.command.dialects import Engine
from shardwright.lint.command.invocation import EngineInvocation, Form
from shardwright.lint.finding import Found, Rule
from shardwright.lint.groups import Span
from shardwright.lint.reading import dig, integer
from shardwright.lint.scene import Scene
from shardwright.lint.shell.values import is_known, shown
from shardwright.lint.workload.pod import Role
from shardwright.model.finding import Severity

_VLLM = "https://docs.vllm.ai/en/stable/serving/parallelism_scaling/"
_SGLANG = "https://docs.sglang.ai/references/multi_node_deployment/multi_node.html"


_POD_INDEX = frozenset(
    {f"metadata.labels[{quote}apps.kubernetes.io/pod-index{quote}]" for quote in ("'", '"')}
)


def _on_nodes(scene: Scene) -> Iterator[tuple[Member, EngineInvocation]]:
    """Yield engines told to span several nodes, where nothing hides what they are told."""
    for member, engine in scene.engines:
        if engine.asks_for_nodes and not engine.is_conditional and not engine.has("--config"):
            yield member, engine


def _is_one_of_several(member: Member) -> bool:
    """True if the same command line runs on more than one node of a group."""
    workload = member.workload
    if workload.kind == "LeaderWorkerSet":
        return member.pod.role is Role.WORKER and (member.pod.count or 0) > 1
    return workload.kind in {"StatefulSet", "Deployment", "Job"} and workload.replicas > 1


def _node_rank(scene: Scene) -> Iterator[Found]:
    yield from _rank_of_leader_again(scene)
    for member, engine in _on_nodes(scene):
        rank = engine.node_rank
        written = rank if rank is not None else "0 (no --node-rank)"
        if rank is not None and not (is_known(rank) and integer(rank) is not None):
            continue
        is_worker = member.pod.role is Role.WORKER
        duplicates = _is_one_of_several(member)
        if not duplicates and not (is_worker and integer(rank or "0") == 0):
            continue
        yield Found(
            object=member.object,
            path=engine.site.path,
            near="node-rank" if rank is not None else "nnodes",
            what=(
                f"every pod of this template has node rank {written}"
                if duplicates
                else f"the worker has node rank {written}, which is the leader's"
            ),
        )


def _rank_of_leader_again(scene: Scene) -> Iterator[Found]:
    """Find worker sets beside a leader's whose pods count their ranks from 0 as well."""
    for group in scene.groups:
        for other, _ in group.members:
            workload, engine = other.workload, other.engine
            if workload is group.lead.workload or workload.kind != "StatefulSet" or engine is None:
                continue
            variable = other.container.env.get(shown(engine.node_rank or "").removeprefix("$"))
            is_index = variable is not None and variable.source_field in _POD_INDEX
            if is_index and not integer(dig(workload.spec, "ordinals", "start")):
                yield Found(
                    object=other.object,
                    path=engine.site.path,
                    near="node-rank",
                    what=(
                        f"pods of {workload.name} count from 0, so its first has node rank 0,"
                        f" which is that of {group.lead.workload.name}"
                    ),
                    remedy="set spec.ordinals.start: 1, or add 1 to the index",
                )


def _address_missing(scene: Scene) -> Iterator[Found]:
    for member, engine in _on_nodes(scene):
        if not engine.dialect.address or engine.has(*engine.dialect.address):
            continue
        flag = engine.dialect.address[0]
        if engine.engine is Engine.SGLANG or not _is_leader_alone(member):
            yield Found(
                object=member.object,
                path=engine.site.path,
                near="nnodes",
                what=f"{engine.dialect.title} spans nodes without {flag}",
                remedy=f"add {flag} with the leader's name, such as $(LWS_LEADER_ADDRESS)",
            )


def _is_leader_alone(member: Member) -> bool:
    """True for the one leader of a group; its own default address may be right."""
    return member.pod.role is Role.LEADER


def _group_size(scene: Scene) -> Iterator[Found]:
    for group in scene.groups:
        nodes, workload = group.engine.num_nodes, group.lead.workload
        if nodes is None or not group.engine.asks_for_nodes:
            continue
        if group.span is Span.LEADER_WORKER_SET and group.num_pods != nodes:
            pods, path = group.num_pods, ("spec", "leaderWorkerTemplate", "size")
        elif group.span is Span.POD and workload.kind == "LeaderWorkerSet":
            pods, path = 1, ("spec", "leaderWorkerTemplate", "size")
        elif (
            group.span is Span.TORCH
            and workload.kind == "StatefulSet"
            and len(group.members) == 1
            and workload.replicas > 1
            and workload.replicas % nodes
        ):
            pods, path = workload.replicas, ("spec", "replicas")  # type: ignore[assignment]
        elif (
            group.span is Span.TORCH
            and len(group.members) > 1
            and group.num_pods not in (None, nodes)
        ):
            pods, path = group.num_pods, group.engine.site.path  # type: ignore[assignment]
        else:
            continue
        yield Found(
            object=group.lead.object,
            path=path,
            near="nnodes" if path == group.engine.site.path else "",
            what=f"the engine waits for {nodes} nodes; the group has {pods} pods",
        )


def _headless_module(scene: Scene) -> Iterator[Found]:
    for _, engine in scene.engines:
        if engine.is_headless and engine.form is Form.MODULE:
            yield Found(
                object=engine.site.object,
                path=engine.site.path,
                near="--headless",
                what="--headless is read by `vllm serve` only; the module starts a server anyway",
            )


def _headless_missing(scene: Scene) -> Iterator[Found]:
    for member, engine in _on_nodes(scene):
        rank = integer(engine.node_rank)
        is_worker = member.pod.role is Role.WORKER or (rank is not None and rank > 0)
        if engine.engine is Engine.VLLM and is_worker and not engine.is_headless:
            yield Found(
                object=member.object,
                path=engine.site.path,
                near="node-rank",
                what="a vLLM rank above 0 without --headless starts an API server of its own",
            )


def _lws_variables(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        if member.workload.kind == "LeaderWorkerSet" or member.workload.is_managed:
            continue
        if not member.container.mentions("LWS_"):
            continue
        for word in member.container.words:
            for name in ("LWS_LEADER_ADDRESS", "LWS_GROUP_SIZE", "LWS_WORKER_INDEX"):
                if f"$({name})" in word or f"${{{name}" in word or f"${name}" in word:
                    if name in member.container.env or member.container.has_env_from:
                        continue
                    yield Found(
                        object=member.object,
                        path=member.container.path,
                        near=name,
                        what=f"{name} is set by LeaderWorkerSet; this is a {member.workload.kind}",
                    )


RULES = (
    Rule(
        code="node-rank-wrong",
        severity=Severity.ERROR,
        title="several nodes with the same rank",
        why=(
            "Each node of a group must have its own rank. A fixed number in a template of several"
            " pods, or none (the default is 0), makes them all claim the same one; the rendezvous"
            " waits for the missing ranks until its timeout."
        ),
        remedy=(
            "take it from the pod: $(LWS_WORKER_INDEX), or the label"
            " apps.kubernetes.io/pod-index of a StatefulSet"
        ),
        references=(_VLLM, _SGLANG),
        check=_node_rank,
    ),
    Rule(
        code="rendezvous-address-missing",
        severity=Severity.ERROR,
        title="nodes that are not told where to meet",
        why="Without an address each node waits at its own loopback for the others.",
        remedy="give every node the leader's address",
        references=(_VLLM, _SGLANG),
        check=_address_missing,
    ),
    Rule(
        code="group-size-mismatch",
        severity=Severity.ERROR,
        title="the engine waits for another number of nodes than there are pods",
        why="The rendezvous completes only when all nodes the engine was told of have come.",
        remedy="make --nnodes equal the pods of the group: $(LWS_GROUP_SIZE) in a LeaderWorkerSet",
        references=(_VLLM,),
        check=_group_size,
    ),
    Rule(
        code="headless-module-form",
        severity=Severity.ERROR,
        title="--headless with python -m vllm.entrypoints.openai.api_server",
        why=(
            "Only the `vllm serve` command acts on --headless. The module accepts the flag and"
            " starts an API server on the worker, which never joins the leader's group."
        ),
        remedy="start the rank with `vllm serve ... --headless`",
        references=(_VLLM,),
        check=_headless_module,
    ),
    Rule(
        code="headless-missing",
        severity=Severity.WARNING,
        title="a vLLM worker node without --headless",
        why="Ranks of nodes above 0 only execute; a second API server there has no engine.",
        remedy="add --headless on every node but the first",
        references=(_VLLM,),
        check=_headless_missing,
    ),
    Rule(
        code="lws-variable-outside-lws",
        severity=Severity.ERROR,
        title="LeaderWorkerSet's variables in another kind of workload",
        why=(
            "LWS_LEADER_ADDRESS, LWS_GROUP_SIZE and LWS_WORKER_INDEX are added by the"
            " LeaderWorkerSet controller. Elsewhere they stay unset and reach the engine as text."
        ),
        remedy="use a LeaderWorkerSet, or set the variables yourself",
        references=(
            "https://lws.sigs.k8s.io/docs/reference/labels-annotations-and-environment-variables/",
        ),
        check=_lws_variables,
    ),
)
