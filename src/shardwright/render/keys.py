"""Keys that the cluster makes for itself: an empty Secret, and a Job that may fill it, once.

No key is ever in rendered output, and who applies it never sees one. The Job's account may read and
patch this one Secret and nothing else; pods that mount the Secret name its keys, so the kubelet
holds them until the keys are there.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from shardwright.model.launch import LaunchPlan, SecretOrigin, SecretRef
from shardwright.model.volumes import ConfigFiles
from shardwright.render.emit import Because, Object
from shardwright.render.labels import labels_of, metadata
from shardwright.render.names import bounded, object_name
from shardwright.render.pod import container_security, pod_security, scheduling
from shardwright.render.prepull import pull_key
from shardwright.render.storage import config_object

SSH_KEYS = "ssh-keys"
FOLDER = "/etc/shardwright-keys"
SCRATCH = "/run/shardwright-keys"
WORK_S = 300
"""Seconds the Job has beside pulling its image; making two keys takes less than one."""
RBAC = "rbac.authorization.k8s.io"


def key_objects(plan: LaunchPlan) -> list[Object]:
    """Write what makes the keys of a group, in the order to apply it; nothing if it has none."""
    return [
        each
        for secret in plan.secrets
        if secret.origin is SecretOrigin.GENERATED
        for each in _objects(plan, secret)
    ]


def _objects(plan: LaunchPlan, secret: SecretRef) -> list[Object]:
    name = object_name("ServiceAccount", plan.name, SSH_KEYS)
    config = ConfigFiles(name=name, files=(("ssh_keys.py", _program()),))
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata(plan, secret.name, SSH_KEYS),
            "type": Because("Opaque", "empty: a Job in the cluster fills it, once"),
        },
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": metadata(plan, name, SSH_KEYS),
            "automountServiceAccountToken": False,
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "Role",
            "metadata": metadata(plan, name, SSH_KEYS),
            "rules": [
                {
                    "apiGroups": [""],
                    "resources": ["secrets"],
                    "resourceNames": Because([secret.name], "this one Secret and no other"),
                    "verbs": ["get", "patch"],
                }
            ],
        },
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": metadata(plan, name, SSH_KEYS),
            "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": plan.namespace}],
        },
        config_object(plan, config),
        _job(plan, secret, name),
    ]


def _job(plan: LaunchPlan, secret: SecretRef, account: str) -> Object:
    """Run the script; the pods of a Job cannot be changed, so its name tells images apart."""
    image = plan.group.members[0].image
    name = object_name("Job", f"{bounded(plan.name, 36)}-{SSH_KEYS}-{pull_key([image])}")
    placed = scheduling(plan)
    placed.pop("schedulerName", None)
    tainted = {"key": plan.placement.gpu_resource, "operator": "Exists", "effect": "NoSchedule"}
    words = ["python3", f"{FOLDER}/ssh_keys.py", f"--secret={secret.name}"]
    words += [f"--namespace={plan.namespace}", f"--scratch={SCRATCH}"]
    spec: Object = {
        **placed,
        "tolerations": [
            *placed.get("tolerations", []),
            Because(tainted, "it goes where the image is needed anyway, and asks for no GPU"),
        ],
        "serviceAccountName": account,
        "automountServiceAccountToken": Because(value=True, why="it fills the Secret by the API"),
        "enableServiceLinks": False,
        "securityContext": pod_security(plan.group.members[0].run_as),
        "restartPolicy": "OnFailure",
        "containers": [
            {
                "name": SSH_KEYS,
                "image": image,
                "command": words,
                "resources": {
                    "requests": {"cpu": "100m", "memory": "128Mi"},
                    "limits": {"memory": "128Mi"},
                },
                "securityContext": container_security(()),
                "volumeMounts": [
                    {"name": "script", "mountPath": FOLDER, "readOnly": True},
                    {"name": "scratch", "mountPath": SCRATCH},
                ],
            }
        ],
        "volumes": [
            {"name": "script", "configMap": {"name": account, "defaultMode": 0o555}},
            {
                "name": "scratch",
                "emptyDir": Because(
                    {"medium": "Memory", "sizeLimit": "1Mi"}, "keys are never on a disk"
                ),
            },
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(plan, name, SSH_KEYS),
        "spec": {
            "backoffLimit": 6,
            "activeDeadlineSeconds": plan.budgets.image_pull_s + WORK_S,
            "template": {"metadata": {"labels": labels_of(plan, SSH_KEYS)}, "spec": spec},
        },
    }


@cache
def _program() -> str:
    return files("shardwright.render.pods").joinpath("ssh_keys.py").read_text(encoding="utf-8")
