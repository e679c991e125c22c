from shardwright.drive.kube_memory import MemoryCluster
from shardwright.lint.live import beside_files, live_objects
from shardwright.lint.objects import SourceFile, load
from shardwright.lint.run import lint

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "a", "namespace": "llm"},
    "spec": {"selector": {"app": "a"}, "ports": [{"port": 8000}]},
}
OWNED = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a-x", "namespace": "llm", "ownerReferences": [{"name": "a"}]},
    "spec": {"containers": [{"name": "c", "image": "vllm/vllm-openai:latest"}]},
}
WRITTEN = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: a}
spec:
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}}
    spec:
      containers:
        - {name: c, image: "vllm/vllm-openai:v0.33.0", args: [/models/m]}
"""


def test_what_controllers_made_is_left_out():
    cluster = MemoryCluster(SERVICE, OWNED)
    assert [o.label for o in live_objects(cluster, "llm")] == ["Service/llm/a"]


def test_live_objects_are_seen_and_not_judged():
    written = load((SourceFile(name="a.yaml", text=WRITTEN),))
    assert "no-service" in {f.code for f in lint(written)}
    live = live_objects(MemoryCluster(SERVICE), "llm")
    placed, beside = beside_files(written.objects, live, "llm")
    findings = lint(type(written)(objects=placed, texts=written.texts), beside=beside)
    assert "no-service" not in {f.code for f in findings}
    assert {f.object for f in findings} == {"Deployment/llm/a"}


def test_a_file_replaces_the_live_object_of_its_name():
    live = live_objects(MemoryCluster(SERVICE), "llm")
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
    written = load((SourceFile(name="s.yaml", text=text),))
    assert beside_files(written.objects, live, "llm")[1] == ()
