from shardwright.lint.objects import SourceFile, from_values, load

TEXT = """\
# Source: chart/templates/a.yaml
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Service
    metadata: {name: a, namespace: n}
  - apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: b
    spec:
      replicas: 2
---
just: values
---
- not
- an object
"""


def loaded():
    return load((SourceFile(name="x.yaml", text=TEXT),))


def test_lists_are_opened_and_other_documents_passed_over():
    assert [o.label for o in loaded().objects] == ["Service/n/a", "Deployment/b"]


def test_positions_are_those_of_the_file():
    deployment = loaded().objects[1]
    assert deployment.line_at(("spec", "replicas")) == 13
    assert deployment.line_at(("spec", "strategy", "type")) == 12  # its nearest parent
    assert deployment.line_at(()) == 8


def test_objects_without_text_have_no_lines():
    (obj,) = from_values([{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}])
    assert (obj.label, obj.line_at(("spec",))) == ("Pod/p", None)


def test_mangled_metadata_is_no_error():
    text = "apiVersion: v1\nkind: Pod\nmetadata: [1]\n---\napiVersion: 1\nkind: Pod\n"
    assert [o.label for o in load((SourceFile(name="x", text=text),)).objects] == ["Pod/(no name)"]
