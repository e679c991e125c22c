"""Manifests as people posted them in public threads, cut to what matters."""

POSTED_COMMAND = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: vllm}
spec:
  selector: {matchLabels: {app: vllm}}
  template:
    metadata: {labels: {app: vllm}}
    spec:
      containers:
      - name: vllm
        image: vllm/vllm-openai:v0.4.1
        command:
        - "python3 -m vllm.entrypoints.openai.api_server --port 8080 --model /m -tp 2"
        resources: {limits: {nvidia.com/gpu: 2}}
"""


def test_whole_command_line_in_place_of_a_program(linted):
    """vllm-project/vllm issue 4462: the runtime finds no executable of that name."""
    found = linted(POSTED_COMMAND).one("argument-holds-two-words")
    assert found.line == 14
    assert "python3 -m vllm.entrypoints.openai.api_server" in found.what
    split = POSTED_COMMAND.replace('"python3 -m', 'bash\n        - -c\n        - "python3 -m')
    assert "argument-holds-two-words" not in linted(split).codes


BY_SERVICE = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: wide}
spec:
  replicas: 2
  serviceName: wide
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: wide}}
  template:
    metadata: {labels: {app: wide}}
    spec:
      containers:
      - name: sglang
        image: lmsysorg/sglang:v0.5.2
        command: [bash, -c]
        args:
        - >
          python3 -m sglang.launch_server --model /m --dist-init-addr leader:5100 --tp 16
          --nnodes 2 --node-rank $POD_INDEX --host 0.0.0.0 --port 30000
        env:
        - name: POD_INDEX
          valueFrom: {fieldRef: {fieldPath: "metadata.labels['apps.kubernetes.io/pod-index']"}}
        resources: {limits: {nvidia.com/gpu: 8}}
"""
SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {name: leader}
spec:
  selector: {app: wide, apps.kubernetes.io/pod-index: "0"}
  ports: [{name: rendezvous, port: PORT}]
"""


def test_service_in_front_of_the_port_at_which_ranks_meet(linted):
    """sgl-project/sglang issue 10216: rank 0 itself listens where the others are told to meet."""
    found = linted(BY_SERVICE + SERVICE.replace("PORT", "5100"))
    assert "service-port-mismatch" not in found.codes
    assert "rendezvous-name-unknown" not in found.codes
    other = linted(BY_SERVICE + SERVICE.replace("PORT", "5101"))
    assert "service-port-mismatch" in other.errors


def test_set_alone_in_its_file_may_have_its_service_in_another(linted):
    """llm-d/llm-d keeps the Service of its SGLang StatefulSet in another folder."""
    found = linted(BY_SERVICE)
    assert "rendezvous-name-unknown" in found.codes
    assert found.errors == set()
    beside = linted(BY_SERVICE + SERVICE.replace("name: leader", "name: other"))
    assert "rendezvous-name-unknown" in beside.errors
