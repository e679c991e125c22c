"""The latest word about an object counts: in `kubectl describe`, `get events` and our own lines."""

import json

import pytest

from shardwright.diagnose.doctor import examine
from shardwright.diagnose.evidence import Document

UNBOUND = "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."
NO_GPU = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
MOUNT = 'MountVolume.SetUp failed for volume "m": rpc error: code = Internal desc = timeout'
TABLE = "--- source: kubectl get events\nLAST SEEN  TYPE  REASON  OBJECT  MESSAGE\n"


def report(text):
    return examine([Document(name="evidence.txt", chunks=[text.encode()])])


def codes(text):
    return [f.code for f in report(text).findings if f.confidence >= 0.7]


def described(*events):
    head = "--- source: kubectl describe\nName:             llm-0\nEvents:\n"
    return head + "".join(
        f"  Warning  {reason}  {age}   kubelet  {message}\n" for reason, age, message in events
    )


def test_the_schedulers_last_word_counts_whatever_the_order_of_lines():
    early = f"9m   Warning   FailedScheduling   pod/llm-0   {UNBOUND}\n"
    late = f"1m   Warning   FailedScheduling   pod/llm-0   {NO_GPU}\n"
    for text in (TABLE + early + late, TABLE + late + early):
        first = report(text).findings[0]
        assert (first.code, first.confidence >= 0.7) == ("unschedulable", True)
        assert all("unbound" not in hit.text for hit in first.evidence)


def test_the_last_word_of_another_pod_overtakes_nothing():
    text = (
        f"{TABLE}9m   Warning   FailedScheduling   pod/llm-0   {UNBOUND}\n"
        f"1m   Normal   Started   pod/llm-1   Started container vllm\n"
    )
    first = report(text).findings[0]
    assert (first.family, first.confidence >= 0.7) == ("k8s-volume", True)


@pytest.mark.parametrize(
    "later",
    [("Pulled", "20s", "Container image already present"), ("Started", "3s", "Started container")],
)
def test_a_mount_that_took_two_tries_is_no_fault(later):
    assert codes(described(("FailedMount", "2m5s (x3 over 4m)", MOUNT))) == ["volume-not-mounted"]
    mended = report(described(("FailedMount", "2m5s (x3 over 4m)", MOUNT), later))
    assert not [f for f in mended.findings if f.code == "volume-not-mounted"]


def test_a_mount_that_fails_after_a_start_is_the_last_word():
    text = described(("Started", "9m", "Started container"), ("FailedMount", "10s", MOUNT))
    assert codes(text) == ["volume-not-mounted"]


def test_a_pod_that_is_ready_overtakes_how_it_came_there():
    table = "--- source: kubectl get pods\nNAME   READY   STATUS    RESTARTS   AGE\n"
    mount = described(("FailedMount", "2m", MOUNT))
    assert codes(mount + table + "llm-0   1/1   Running   0   9m\n") == []
    assert codes(mount + table + "llm-0   0/1   Running   0   9m\n") == ["volume-not-mounted"]
    assert codes(mount + table + "llm-1   1/1   Running   0   9m\n") == ["volume-not-mounted"]


def test_a_pod_described_as_ready_does_not_speak_for_its_neighbour():
    ready = "Name:             llm-1\nStatus:           Running\nConditions:\n  Ready   True\n"
    text = described(("FailedMount", "2m", MOUNT)) + ready
    assert codes(text) == ["volume-not-mounted"]


def test_claims_that_are_bound_now_overtake_the_scheduler():
    event = f"{TABLE}9m   Warning   FailedScheduling   pod/llm-0   {UNBOUND}\n"
    claims = "--- source: kubectl get pvc\nNAME     STATUS    VOLUME     CAPACITY   ACCESS MODES\n"
    assert codes(event)
    assert codes(event + claims + "models   Bound     pvc-7f1    2Ti        RWX\n") == []
    assert codes(event + claims + "models   Pending   \n")


def test_a_pull_that_worked_at_last_is_ruled_out_and_said():
    pull = 'Failed to pull image "r/x:1": dial tcp 10.0.0.1:443: i/o timeout'
    text = described(("Failed", "5m", pull), ("Pulled", "2m", "Successfully pulled image"))
    oom = "--- source: vllm log\ntorch.OutOfMemoryError: CUDA out of memory.\n"
    first = report(text + oom).findings[0]
    assert first.code == "gpu-oom"
    assert ("image-pull-failed", "a later event of llm-0 says Pulled") in {
        (r.code, r.why) for r in first.ruled_out
    }


def test_a_crash_loop_is_not_overtaken_by_its_next_start():
    oom = "    Last State: Terminated\n      Reason: OOMKilled\n"
    text = described(("BackOff", "1m", "Back-off restarting failed container"),
                     ("Started", "5s", "Started container"))  # fmt: skip
    assert codes(text + oom) == ["host-oom-killed"]


def test_an_event_that_says_why_is_not_overtaken_by_one_that_only_waits():
    why = 'Failed to pull image "r.io/e:1": write /var/lib/containerd/x: no space left on device'
    waits = ("BackOff", "12s (x9 over 4m)", 'Back-off pulling image "r.io/e:1"')
    text = described(
        ("Failed", "40s (x3 over 4m)", why),
        ("Failed", "40s (x3 over 4m)", "Error: ErrImagePull"),
        waits,
        ("Failed", "12s (x9 over 4m)", "Error: ImagePullBackOff"),
    )
    first = report(text).findings[0]
    assert (first.code, first.confidence >= 0.7) == ("disk-full", True)
    denied = described(
        ("Failed", "40s", why), ("Failed", "9s", 'Failed to pull image "r.io/e:1": unauthorized')
    )
    assert codes(denied) == ["image-pull-failed"]


ITEMS = """\
--- source: kubectl get events -o yaml
apiVersion: v1
items:
- apiVersion: v1
  count: 3
  eventTime: null
  involvedObject:
    apiVersion: v1
    kind: Pod
    name: llm-0
    namespace: ml
  kind: Event
  lastTimestamp: "2026-11-26T10:00:00Z"
  message: '0/2 nodes are available: pod has
    unbound immediate PersistentVolumeClaims. preemption: 0/2 nodes are available.'
  metadata:
    name: llm-0.18b
    namespace: ml
  reason: FailedScheduling
  type: Warning
- apiVersion: v1
  involvedObject:
    kind: Pod
    name: POD
  kind: Event
  lastTimestamp: "LATER"
  message: Successfully assigned ml/POD to gpu-1
  metadata:
    name: POD.18c
  reason: Scheduled
  type: Normal
kind: List
"""


def items(pod, later):
    return ITEMS.replace("POD", pod).replace("LATER", later)


def test_events_as_yaml_are_overtaken_by_later_ones_of_the_same_object():
    assert codes(items("llm-0", "2026-11-26T10:05:00Z")) == []
    assert codes(items("llm-0", "2026-11-26T09:55:00Z")) == ["volume-not-mounted"]
    assert codes(items("llm-1", "2026-11-26T10:05:00Z")) == ["volume-not-mounted"]


def event(name, reason, message, when):
    """An event of events.k8s.io/v1."""
    return {
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": f"{name}.1"},
        "regarding": {"kind": "Pod", "name": name}, "reason": reason, "note": message,
        "deprecatedLastTimestamp": when,
    }  # fmt: skip


def test_events_as_json_are_overtaken_by_later_ones_of_the_same_object():
    mount = event("llm-0", "FailedMount", MOUNT, "2026-11-26T10:00:00Z")
    started = event("llm-0", "Started", "Started container", "2026-11-26T10:01:00Z")
    head = "--- source: kubectl get events -o json\n"
    for found, expected in ((mount, ["volume-not-mounted"]), (started, [])):
        text = json.dumps({"items": [mount, found], "kind": "List"}, indent=4, sort_keys=True)
        assert codes(f"{head}{text}\n") == expected
