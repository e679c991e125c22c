"""A Helm chart of an endpoint, whose values mirror the spec.

Fields that change nothing else can be set at install time; all others are part of the plan, and the
chart refuses a value that no longer agrees with it. Templates are made by rendering the plan with a
mark in place of each field that can be set, so chart and plain manifests cannot drift apart.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shardwright.model.launch import LaunchPlan
from shardwright.render.emit import emit
from shardwright.render.folder import file_name
from shardwright.render.objects import explained_objects
from shardwright.render.prepull import pull_key, pulled_images

MARK = "shardwright-helm"
NAMESPACE, IMAGE = f"{MARK}-namespace", f"{MARK}-image"
SELECTOR, SECRET = f"{MARK}-selector", f"{MARK}-secret"
CLASS, PRIORITY = f"{MARK}-class", f"{MARK}-priority"
SETTABLE = (
    ("engine", "image"),
    ("cluster", "nodeSelector"),
    ("images", "pullSecrets"),
    ("storage", "storageClass"),
    ("scheduling", "priorityClass"),
)
CHART_VERSION = "0.1.0"


def helm_chart(plan: LaunchPlan, spec: Mapping[str, Any]) -> dict[str, str]:
    """Write the files of a chart. spec: the user's own, as it stands in the file."""
    values = {"spec": _values(plan, spec)}
    chart = {
        "apiVersion": "v2",
        "name": plan.name,
        "description": f"{plan.served_name} on {plan.engine} {plan.engine_version}",
        "type": "application",
        "version": CHART_VERSION,
        "appVersion": plan.engine_version,
    }
    marked = _marked(plan)
    keys = {pull_key(images): _pull_key(images) for images in (pulled_images(marked), [IMAGE])}
    templates = {
        f"templates/{file_name(each)}": _with_keys(_template(emit([each], explain=True)), keys)
        for each in explained_objects(marked)
    }
    return {
        "Chart.yaml": emit([chart]),
        "values.yaml": _ABOUT + emit([values]),
        "templates/_planned.tpl": _check(values["spec"]),
        **{name: f'{{{{- include "planned" . }}}}\n{text}' for name, text in templates.items()},
    }


_ABOUT = """# The spec this chart was planned from. These fields can be set at install time:
# {fields}.
# Any other change needs a new plan: shardwright render SPEC.yaml --helm --out FOLDER
""".format(fields=", ".join(f"spec.{a}.{b}" for a, b in SETTABLE))


def _values(plan: LaunchPlan, spec: Mapping[str, Any]) -> dict[str, Any]:
    values = copy.deepcopy(dict(spec))
    defaults = {
        ("engine", "image"): plan.group.members[0].image,
        ("cluster", "nodeSelector"): dict(plan.placement.node_selector),
        ("images", "pullSecrets"): list(plan.placement.pull_secrets),
        ("storage", "storageClass"): next((c.storage_class for c in plan.claims), None),
        ("scheduling", "priorityClass"): plan.placement.priority_class,
    }
    for (section, field), value in defaults.items():
        values[section] = {**(values.get(section) or {}), field: value}
    return values


def _planned_digest(values: Mapping[str, Any]) -> str:
    """Digest of what the plan depends on, as Helm's `toJson | sha256sum` writes it."""
    kept = copy.deepcopy(dict(values))
    for section, field in SETTABLE:
        kept[section].pop(field, None)
    text = json.dumps(
        _without_null(kept), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return hashlib.sha256(text.encode()).hexdigest()


def _without_null(value: Any) -> Any:
    """Drop what Helm drops: a null value is a key that is not there."""
    if isinstance(value, Mapping):
        return {k: _without_null(v) for k, v in value.items() if v is not None}
    return [_without_null(v) for v in value] if isinstance(value, list) else value


def _check(values: Mapping[str, Any]) -> str:
    lines = ['{{- define "planned" -}}', "{{- $spec := deepCopy .Values.spec -}}"]
    lines += [f'{{{{- $_ := unset $spec.{a} "{b}" -}}}}' for a, b in SETTABLE]
    lines += [
        f'{{{{- if ne ($spec | toJson | sha256sum) "{_planned_digest(values)}" -}}}}',
        '{{- fail "this value is part of the plan: change the spec and run shardwright render" -}}',
        "{{- end -}}",
        "{{- end -}}",
        "",
    ]
    return "\n".join(lines)


def _marked(plan: LaunchPlan) -> LaunchPlan:
    image = plan.group.members[0].image
    members = tuple(
        replace(m, image=IMAGE if m.image == image else m.image) for m in plan.group.members
    )
    return replace(
        plan,
        namespace=NAMESPACE,
        group=replace(plan.group, members=members),
        tasks=tuple(replace(t, image=IMAGE if t.image == image else t.image) for t in plan.tasks),
        claims=tuple(replace(claim, storage_class=CLASS) for claim in plan.claims),
        placement=replace(
            plan.placement,
            node_selector=((SELECTOR, "x"),),
            pull_secrets=(SECRET,),
            priority_class=PRIORITY,
        ),
    )


def _template(text: str) -> str:
    text = text.replace("{{", '{{ "{{" }}')
    text = text.replace(NAMESPACE, "{{ .Release.Namespace }}")
    text = text.replace(IMAGE, "{{ .Values.spec.engine.image | quote }}")
    text = _optional(
        text, f"nodeSelector:\n *{SELECTOR}: x", "nodeSelector", "cluster.nodeSelector"
    )
    text = _optional(text, f"storageClassName: {CLASS}", "storageClassName", "storage.storageClass")
    text = _optional(
        text, f"priorityClassName: {PRIORITY}", "priorityClassName", "scheduling.priorityClass"
    )
    secrets = r"^( *)imagePullSecrets:\n *- name: " + SECRET + "$"
    return re.sub(
        secrets,
        lambda match: "\n".join(
            (
                f"{match[1]}{{{{- with .Values.spec.images.pullSecrets }}}}",
                f"{match[1]}imagePullSecrets:",
                f"{match[1]}{{{{- range . }}}}",
                f"{match[1]}- name: {{{{ . | quote }}}}",
                f"{match[1]}{{{{- end }}}}",
                f"{match[1]}{{{{- end }}}}",
            )
        ),
        text,
        flags=re.MULTILINE,
    )


def _with_keys(text: str, keys: Mapping[str, str]) -> str:
    """Have Helm compute the keys in names of jobs, which are those of the images they run."""
    for key, computed in keys.items():
        text = text.replace(key, computed)
    return text


def _pull_key(images: list[str]) -> str:
    """Write `prepull.pull_key` as Helm computes it, with the image that is set at install time."""
    listed = " ".join(
        ".Values.spec.engine.image" if each == IMAGE else json.dumps(each) for each in images
    )
    return f'{{{{ list {listed} | uniq | sortAlpha | join "\\n" | sha256sum | trunc 10 }}}}'


def _optional(text: str, marked: str, field: str, value: str) -> str:
    """Put a field there only where its value is set."""

    def block(match: re.Match[str]) -> str:
        indent = match[1]
        return "\n".join(
            (
                f"{indent}{{{{- with .Values.spec.{value} }}}}",
                f"{indent}{field}: {{{{ toJson . }}}}",
                f"{indent}{{{{- end }}}}",
            )
        )

    return re.sub(rf"^( *){marked}$", block, text, flags=re.MULTILINE)
