HEAD = """
apiVersion: apps/v1
kind: {kind}
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  serviceName: {name}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
        - name: c
          image: {image}
          command: ["bash", "-c"]
          args:
            - |
              {script}
          resources: {{limits: {{nvidia.com/gpu: {gpus}, memory: 64Gi}}}}
          volumeMounts: [{{name: shm, mountPath: /dev/shm}}]
      volumes:
        - name: shm
          emptyDir: {{medium: Memory, sizeLimit: 8Gi}}
---
"""


def manifest(script, **fields):
    defaults = {
        "kind": "StatefulSet",
        "name": "a",
        "replicas": 1,
        "image": "vllm/vllm-openai:v0.9.1",
        "gpus": 8,
    }
    return HEAD.format(script=script, **(defaults | fields))


def test_nothing_to_say(linted):
    found = linted(manifest("vllm serve /models/m --tensor-parallel-size 8"))
    assert not found.codes & {"shm-missing", "gpus-do-not-match-ranks", "flag-unknown"}


def test_ranks_against_gpus(linted):
    few = linted(manifest("vllm serve m -tp 8 -pp 2"))
    assert "16 ranks (TP=8 x PP=2); its pod has 8 GPUs" in few.one("gpus-do-not-match-ranks").what
    many = linted(manifest("vllm serve m -tp 4"))
    assert "gpus-do-not-match-ranks" in many.codes - many.errors
    copies = linted(manifest("vllm serve m -tp 4 --data-parallel-size 2"))
    assert "gpus-do-not-match-ranks" not in copies.codes


def test_a_group_over_nodes_counts_all_its_pods(linted):
    script = "vllm serve m -tp 8 -pp 2 --nnodes 2 --node-rank $R --master-addr a-0.a"
    image = "vllm/vllm-openai:v0.33.0"
    assert "gpus-do-not-match-ranks" not in linted(manifest(script, replicas=2, image=image)).codes


def test_replicas_are_no_ranks(linted):
    found = linted(manifest("vllm serve m -tp 8 -pp 2", kind="Deployment", replicas=2))
    assert "replicas-instead-of-ranks" in found.errors
    assert "gpus-do-not-match-ranks" not in found.codes


def test_ray_head(linted):
    worker = manifest("ray start --address=a-0.a:6379 --block", name="b")
    serve = "vllm serve m -tp 8 -pp 2 --distributed-executor-backend ray"
    broken = linted(manifest(serve) + worker)
    assert "ray-head-never-started" in broken.errors
    good = linted(manifest(f"ray start --head; {serve}") + worker)
    assert not good.errors & {"ray-head-never-started", "gpus-do-not-match-ranks"}


def test_names_nobody_will_have(linted):
    serve = "ray start --head; vllm serve m -tp 8 -pp 2 --distributed-executor-backend ray"
    found = linted(manifest(serve) + manifest("ray start --address=x-0.x:6379", name="b"))
    assert "a-0" in found.one("rendezvous-name-unknown").what
    for outside in ("10.0.0.1", "ray.example.com", "$HEAD_IP", "localhost"):
        found = linted(manifest(serve) + manifest(f"ray start --address={outside}:6379", name="b"))
        assert "rendezvous-name-unknown" not in found.codes


def test_ray_on_an_image_without_it(linted):
    script = "ray start --head; vllm serve m -tp 8 --distributed-executor-backend ray"
    image = "vllm/vllm-openai:v0.33.0"
    assert "ray-missing-in-image" in linted(manifest(script, image=image)).errors
    assert "ray-missing-in-image" not in linted(manifest(script)).codes
    with_ray = f"pip install ray[default]; {script}"
    assert "ray-missing-in-image" not in linted(manifest(with_ray, image=image)).codes


def test_flags(linted):
    image = "vllm/vllm-openai:v0.33.0"
    gone = linted(manifest("vllm serve m -tp 8 \\\n                --swap-space 4", image=image))
    assert (
        gone.one("flag-removed").line
        == gone.text.split("\n").index(
            next(row for row in gone.text.split("\n") if "--swap-space" in row)
        )
        + 1
    )
    new = linted(manifest("vllm serve m -tp 8 --async-scheduling", image="vllm/vllm-openai:v0.6.6"))
    assert "flag-too-new" in new.errors
    typo = linted(manifest("vllm serve m -tp 8 --max-modle-len 9", image=image))
    assert "--max-model-len" in typo.one("flag-unknown").remedy
