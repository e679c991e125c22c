"""What was asked for is no failure, however it is shown; what an object's status says is one."""

import json

import pytest

from shardwright.diagnose.configuration import Reader
from shardwright.diagnose.doctor import examine
from shardwright.diagnose.evidence import Document, Source

OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
SCRIPT = (
    "set -e\n"
    f'if grep -q "{OOM}" /var/log/vllm.log; then\n'
    "  echo 'CUDA error: out of memory'\n"
    "\n"
    "  echo 'No space left on device'; exit 137\n"
    "fi\n"
    "exec vllm serve m\n"
)


def pod(message=None):
    """A healthy pod as the API server returns it, or one whose last run ended with a message."""
    last = (
        {"terminated": {"containerID": "containerd://1", "exitCode": 1, "message": message,
                        "reason": "Error"}}
        if message else {}
    )  # fmt: skip
    metadata = {
        "annotations": {
            "example.com/last-failure": OOM,
            "kubectl.kubernetes.io/last-applied-configuration": json.dumps(
                {"apiVersion": "v1", "kind": "Pod", "spec": {"args": [SCRIPT]}, "status": {}}
            ),
        },
        "labels": {"app": "llm"},
        "name": "llm-0",
        "namespace": "serving",
    }
    container = {
        "args": [SCRIPT],
        "command": ["/bin/bash", "-c"],
        "env": [{"name": "ALERT_ON", "value": OOM}],
        "image": "vllm/vllm-openai:v0.11.0",
        "livenessProbe": {"exec": {"command": ["sh", "-c", f"! grep '{OOM}' /log"]}},
        "name": "vllm",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], "nodeName": "n1"},
        "status": {
            "conditions": [{"status": "True", "type": "Ready"}],
            "containerStatuses": [
                {"lastState": last, "name": "vllm", "ready": True, "restartCount": 0,
                 "state": {"running": {"startedAt": "2026-11-27T08:00:00Z"}}}
            ],
            "phase": "Running",
        },
    }  # fmt: skip


def indented(text, columns):
    return "".join(f"{' ' * columns}{line}\n" if line else "\n" for line in text.splitlines())


def as_yaml(message=None):
    """As `kubectl get pod -o yaml` writes it."""
    applied = json.dumps({"spec": {"args": [SCRIPT]}, "status": {}})
    ended = (
        "    lastState:\n      terminated:\n        exitCode: 1\n        message: |\n"
        f"          RuntimeError\n          {message}\n        reason: Error\n"
        if message
        else "    lastState: {}\n"
    )
    return (
        "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n"
        "    kubectl.kubernetes.io/last-applied-configuration: |\n"
        f"      {applied}\n    note: '{OOM}'\n  name: llm-0\n  namespace: serving\n"
        f"spec:\n  containers:\n  - args:\n    - |\n{indented(SCRIPT, 6)}    command:\n"
        f"    - /bin/bash\n    - -c\n    env:\n    - name: ALERT_ON\n      value: '{OOM}'\n"
        "    image: vllm/vllm-openai:v0.11.0\n    name: vllm\nstatus:\n  conditions:\n"
        '  - status: "True"\n    type: Ready\n  containerStatuses:\n  - image: vllm\n'
        f"{ended}    name: vllm\n    ready: true\n  phase: Running\n"
    )


def as_yaml_list(message=None):
    items = indented(as_yaml(message), 2)
    return f'apiVersion: v1\nitems:\n- {items[2:]}kind: List\nmetadata:\n  resourceVersion: ""\n'


def described(message=None):
    """As `kubectl describe pod` writes it; a termination message keeps its own lines."""
    ended = (
        "    Last State:     Terminated\n      Reason:       Error\n"
        f"      Message:      RuntimeError\n{message}\n\n      Exit Code:    1\n"
        if message
        else ""
    )
    return (
        "Name:             llm-0\nNamespace:        serving\nPriority:         0\n"
        f"Labels:           app=llm\nAnnotations:      example.com/last-failure: {OOM}\n"
        f"                  other: {OOM}\nStatus:           Running\nContainers:\n  vllm:\n"
        "    Container ID:  containerd://1\n    Command:\n      /bin/bash\n      -c\n    Args:\n"
        f"{indented(SCRIPT, 6)}    State:          Running\n"
        f"      Started:      Fri, 27 Nov 2026 08:00:00 +0000\n{ended}    Ready:          True\n"
        f"    Liveness:       exec [sh -c ! grep '{OOM}' /log] delay=900s timeout=1s period=10s "
        f"#success=1 #failure=3\n    Environment:\n      ALERT_ON:  {OOM}\n"
        "Conditions:\n  Type              Status\n  Ready             True \n"
        "Volumes:          <none>\nEvents:           <none>\n"
    )


def as_json(message=None):
    return json.dumps(pod(message), indent=4, sort_keys=True)


def as_json_of_a_list(message=None):
    bare = {key: pod(message)[key] for key in ("metadata", "spec", "status")}
    return json.dumps({"apiVersion": "v1", "items": [bare, bare], "kind": "PodList"}, indent=4)


def as_kept_by_us(message=None):
    return json.dumps(
        {key: pod(message)[key] for key in ("metadata", "spec", "status")}, indent=1, sort_keys=True
    )


def as_one_line(message=None):
    return json.dumps(pod(message), separators=(",", ":"), sort_keys=True) + "\n"


SHAPES = {
    "pod.json": as_kept_by_us,
    "kubectl-get.json": as_json,
    "list.json": as_json_of_a_list,
    "pods.jsonl": as_one_line,
    "pod.yaml": as_yaml,
    "pods.yaml": as_yaml_list,
    "describe.txt": described,
}
EVENTS = (
    f"apiVersion: v1\nitems:\n- apiVersion: v1\n  count: 1\n  involvedObject:\n    name: llm-0\n"
    f"  kind: Event\n  lastTimestamp: '2026-11-27T08:00:00Z'\n  message: 'Error: {OOM}'\n"
    f"  metadata:\n    annotations:\n      a: '{OOM}'\n    name: llm-0.1\n  reason: Failed\n"
    f"  type: Warning\nkind: List\n"
)


def found(text, name="evidence.txt"):
    return examine([Document(name=name, chunks=[text.encode()])]).findings


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("marker", ["", "--- source: kubectl get pod llm-0 -o yaml\n"])
def test_what_a_healthy_pod_was_asked_is_no_failure(name, marker):
    assert [f.code for f in found(marker + SHAPES[name](), name)] == []


@pytest.mark.parametrize("name", SHAPES)
def test_what_a_pods_status_says_is_one(name):
    first = found(SHAPES[name](OOM), name)[0]
    assert (first.code, first.confidence >= 0.7) == ("gpu-oom", True)
    assert first.evidence[0].source is Source.CLUSTER
    if name != "pods.jsonl":  # it is but one line
        before = "lastState" if "lastState" in SHAPES[name](OOM) else "Last State:"
        lines = SHAPES[name](OOM).splitlines()
        assert before in " ".join(lines[: first.evidence[0].line])
        assert OOM in lines[first.evidence[0].line - 1]


def test_a_script_in_a_config_map_is_no_failure():
    as_manifest = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: watch\ndata:\n  run.sh: |\n"
        f"{indented(SCRIPT, 4)}"
    )
    as_described = (
        "Name:         watch\nNamespace:    serving\nLabels:       <none>\n\nData\n====\n"
        f"run.sh:\n----\n{SCRIPT}\n\nBinaryData\n====\n\nEvents:  <none>\n"
    )
    values = f"# values.yaml\nalerts:\n  pattern: '{OOM}'\n"
    script = f"#!/bin/bash\n{SCRIPT}"
    for name, text in (
        ("cm.yaml", as_manifest), ("describe.txt", as_described), ("values.yaml", values),
        ("watch.sh", script), ("entrypoint", script),
    ):  # fmt: skip
        assert found(text, name) == ()


def test_an_event_speaks_and_its_annotations_do_not():
    hits = found(EVENTS)[0].evidence
    assert [hit.line for hit in hits] == [9]


def test_a_log_pasted_below_a_manifest_is_a_log():
    log = f"INFO 11-27 08:00:00 [core.py:9] loading\n{OOM}\n"
    first = found(as_yaml() + log)[0]
    assert (first.code, first.evidence[0].line) == ("gpu-oom", len(as_yaml().splitlines()) + 2)
    assert first.evidence[0].source is Source.LOG


def test_a_pod_pasted_into_a_log_is_no_log():
    log = "INFO 11-27 08:00:00 [core.py:9] loading\n" * 3
    assert found(log + as_yaml() + log) == ()
    assert found(log + described() + log) == ()
    assert found(log + described() + log + OOM)[0].code == "gpu-oom"


def test_many_pods_that_ask_do_not_hide_one_that_failed():
    assert found(as_yaml_list() * 60 + as_yaml_list(OOM))[0].code == "gpu-oom"


def test_what_is_read_does_not_depend_on_where_it_is_cut():
    lines = as_yaml(OOM).encode().splitlines(keepends=True)
    whole, pieces = Reader(), Reader()
    spoken = whole.read(b"".join(lines))
    offset, at_once, one_by_one = 0, [], []
    for line in lines:
        at_once.append(spoken.source_at(offset))
        one_by_one.append(pieces.read(line).source_at(0))
        offset += len(line)
    assert at_once == one_by_one
    assert {Source.MANIFEST, Source.CLUSTER} == set(at_once)


def test_a_status_cut_out_of_an_object_says_what_happened():
    status = (
        f"status:\n  containerStatuses:\n  - state:\n      terminated:\n        message: '{OOM}'\n"
    )
    assert found(f"--- source: kubectl get pod -o yaml\n{status}")[0].code == "gpu-oom"


def test_a_nodes_taints_are_its_state():
    node = "apiVersion: v1\nkind: Node\nmetadata:\n  name: n\nspec:\n  unschedulable: true\n"
    spoken = Reader().read(node.encode())
    assert spoken.source_at(node.index("unschedulable")) is Source.CLUSTER
    assert spoken.source_at(node.index("name: n")) is Source.MANIFEST
