"""Where the weights come from, and who may fetch them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shardwright.lint.bundle import Member
from shardwright.lint.command.invocation import EngineInvocation
from shardwright.lint.finding import Found, Rule
from shardwright.lint.modelfacts import is_gated, model_facts
from shardwright.lint.scene import Scene
from shardwright.model.finding import Severity
from shardwright.model.units import gib, parse_quantity

_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_HUB_TOKEN", "HUGGINGFACE_TOKEN")
_PLACEHOLDER = re.compile(r"\$\{?[A-Za-z_]\w*\}?|<[^<>]+>|\{\{.*\}\}")
_CACHES = ("/root/.cache/huggingface/hub", "/root/.cache/huggingface", "/root/.cache")
_KEPT = frozenset(
    {"persistentVolumeClaim", "hostPath", "nfs", "csi", "ephemeral", "cephfs", "glusterfs", "image"}
)
_HUB = "https://huggingface.co/docs/huggingface_hub/guides/manage-cache"


def _keeps_cache(member: Member, engine: EngineInvocation) -> bool:
    """True if a volume that outlives the pod holds the hub's cache."""
    container = member.container
    homes = [
        container.env_value(name) for name in ("HF_HUB_CACHE", "HF_HOME", "TRANSFORMERS_CACHE")
    ]
    download = engine.find(("--download-dir",))
    wanted = [home for home in (*homes, download.value if download else None) if home]
    for directory in wanted or list(_CACHES):
        volume = member.pod.volume_at(container, directory)
        if volume is not None and volume.kind in _KEPT:
            return True
        mount = container.mount_at(directory)
        if mount is not None and volume is None:  # a volumeClaimTemplate
            return True
    return any(
        mount.mount_path.rstrip("/").endswith(("/huggingface", "/.cache", "/hub"))
        and (volume := member.pod.volumes.get(mount.volume)) is not None
        and volume.kind in _KEPT
        for mount in container.mounts
    )


def _pulled_at_start(scene: Scene) -> Iterator[Found]:
    for member, engine in scene.hub_engines:
        if not _keeps_cache(member, engine):
            yield Found(
                object=member.object,
                path=engine.site.path,
                near=engine.model,
                what=f"{engine.model} is downloaded again by every pod, at every start",
            )


def _gated_without_token(scene: Scene) -> Iterator[Found]:
    for member, engine in scene.hub_engines:
        container = member.container
        has_token = any(name in container.env for name in _TOKENS) or container.has_env_from
        is_login = any(
            other.name in {"huggingface-cli", "hf"} and "login" in other.arguments
            for other in member.command.others
        )
        if not is_gated(engine.model) or has_token or is_login:
            continue
        token_file = container.mount_at("/root/.cache/huggingface/token")
        if token_file is not None and token_file.sub_path:
            continue
        is_cached = _keeps_cache(member, engine)
        yield Found(
            object=member.object,
            path=engine.site.path,
            near=engine.model,
            severity=Severity.WARNING if is_cached else Severity.ERROR,
            what=f"{engine.model} is gated, and container {container.name} has no HF_TOKEN",
        )


def _token_not_filled_in(scene: Scene) -> Iterator[Found]:
    for member, engine in scene.hub_engines:
        if not is_gated(engine.model):
            continue
        for name in _TOKENS:
            variable = member.container.env.get(name)
            value = variable.value if variable else None
            if variable is not None and value is not None and _PLACEHOLDER.fullmatch(value):
                yield Found(
                    object=member.object,
                    path=variable.path,
                    what=f"{name} is the text {value!r}, and {engine.model} is gated",
                )


def _cache_read_only(scene: Scene) -> Iterator[Found]:
    for member, engine in scene.hub_engines:
        container = member.container
        homes = [container.env_value(name) for name in ("HF_HUB_CACHE", "HF_HOME")]
        for directory in [home for home in homes if home] or [_CACHES[0]]:
            mount = container.mount_at(directory)
            if mount is not None and mount.read_only:
                yield Found(
                    object=member.object,
                    path=(*container.path, "volumeMounts"),
                    near="readOnly",
                    what=f"{mount.mount_path} is mounted read-only, and {engine.model} is to be"
                    " fetched into it",
                )


def _disk_too_small(scene: Scene) -> Iterator[Found]:
    for member, engine in scene.hub_engines:
        facts = model_facts(engine.model)
        limit = parse_quantity(member.container.limits.get("ephemeral-storage", ""))
        if facts is None or limit is None or _keeps_cache(member, engine):
            continue
        if limit < facts.weight_bytes:
            yield Found(
                object=member.object,
                path=(*member.container.path, "resources", "limits", "ephemeral-storage"),
                what=(
                    f"{facts.id} has {gib(facts.weight_bytes)} of weights, and the container may"
                    f" write {gib(limit)}"
                ),
            )


RULES = (
    Rule(
        code="model-pulled-at-start",
        severity=Severity.WARNING,
        title="weights downloaded when the pod starts, into the pod",
        why=(
            "Every restart and every replica downloads all weights again, from outside the"
            " cluster: slow, rate-limited, and down when the hub is. It also fills the node's disk."
        ),
        remedy=(
            "fill a shared claim once with a download Job, mount it, and set HF_HUB_OFFLINE=1;"
            " or at least keep the cache on a persistent volume"
        ),
        references=(_HUB,),
        check=_pulled_at_start,
    ),
    Rule(
        code="gated-model-without-token",
        severity=Severity.ERROR,
        title="a gated model without a token",
        why="The hub answers 401 for a gated model unless the request carries an accepted token.",
        remedy=(
            "set HF_TOKEN from a Secret: valueFrom.secretKeyRef; the account must have accepted"
            " the model's licence"
        ),
        references=("https://huggingface.co/docs/hub/models-gated",),
        check=_gated_without_token,
    ),
    Rule(
        code="token-not-filled-in",
        severity=Severity.WARNING,
        title="a token that is a placeholder",
        why=(
            "Kubernetes fills in $(NAME) alone, and only from variables of the container: $NAME and"
            " <name> reach the hub as they stand, which answers 401 for a gated model."
        ),
        remedy="take it from a Secret: valueFrom.secretKeyRef; or run envsubst before you apply",
        references=("https://huggingface.co/docs/hub/models-gated",),
        check=_token_not_filled_in,
    ),
    Rule(
        code="cache-read-only",
        severity=Severity.WARNING,
        title="the hub's cache is mounted read-only",
        why=(
            "The hub client writes locks and references beside the weights even when they are"
            " there; on a read-only mount it fails unless it is told to stay offline."
        ),
        remedy="set HF_HUB_OFFLINE=1 and serve by path, or mount the cache writable",
        references=(_HUB, "https://github.com/llm-d-incubation/llm-d-modelservice/issues/243"),
        check=_cache_read_only,
    ),
    Rule(
        code="disk-too-small",
        severity=Severity.ERROR,
        title="less ephemeral storage than the weights take",
        why="The kubelet evicts a pod that writes more than its ephemeral-storage limit.",
        remedy="put the cache on a claim, or raise the limit above the size of the weights",
        references=("https://kubernetes.io/docs/concepts/storage/ephemeral-storage/",),
        check=_disk_too_small,
    ),
)
