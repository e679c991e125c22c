"""Images: which version runs, and whether the arguments fit the entrypoint."""

from __future__ import annotations

from collections.abc import Iterator

from shardwright.lint.command.dialects import is_stock_vllm
from shardwright.lint.finding import Found, Rule
from shardwright.lint.scene import Scene
from shardwright.model.finding import Severity

_MOVING = frozenset({"", "latest", "nightly", "main", "dev", "stable"})


def _image_moves(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        image = member.container.image
        if image.reference and not image.digest and image.tag in _MOVING and "$" not in image.tag:
            yield Found(
                object=member.object,
                path=(*member.container.path, "image"),
                what=f"{image.reference} names another image tomorrow",
            )


def _entrypoint_repeated(scene: Scene) -> Iterator[Found]:
    for member in scene.members:
        container = member.container
        if member.command.repeats_entrypoint and is_stock_vllm(container.image):
            yield Found(
                object=member.object,
                path=(*container.path, "args"),
                what=(
                    f"args begin with {container.args[0]!r}, and the entrypoint of"
                    f" {container.image.base} already starts the server"
                ),
            )


RULES = (
    Rule(
        code="image-not-pinned",
        severity=Severity.WARNING,
        title="an image by a moving tag",
        why=(
            "Engines drop flags and change defaults from release to release. A moving tag gives"
            " the pods of one group different versions, and a restart a different engine."
        ),
        remedy="name a release, or better a digest",
        references=("https://kubernetes.io/docs/concepts/containers/images/",),
        check=_image_moves,
    ),
    Rule(
        code="entrypoint-repeated",
        severity=Severity.ERROR,
        title="args that name the program the image already starts",
        why=(
            "args are appended to the image's entrypoint. `vllm serve` or a shell there becomes an"
            " argument of the server, which exits with `unrecognized arguments`."
        ),
        remedy="move the program to command, or leave only the flags in args",
        references=(
            "https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/",
        ),
        check=_entrypoint_repeated,
    ),
)
