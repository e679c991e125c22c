"""Whether shared memory is there, where somebody else than the manifest may have put it."""

from pathlib import Path

import pytest

KUBERAY = Path(__file__).parents[3] / "golden" / "lint" / "good" / "kuberay.yaml"


def test_kuberay_mounts_shared_memory_for_its_own_container_alone(linted):
    text = KUBERAY.read_text()
    without = "\n".join(line for line in text.split("\n") if "/dev/shm" not in line)
    assert without != text
    assert "shm-missing" not in linted(without).codes
    second = "- {name: first, image: busybox:1}\n            - name: worker"
    beside = without.replace("- name: worker", second)
    assert "shm-missing" in linted(beside).codes


GROUP = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: moe}}
spec:
  template:
    spec:
      containers:
        - name: engine
          image: {image}
          command: [{command}]
          resources: {{limits: {{nvidia.com/gpu: 8, memory: 500Gi}}}}
          volumeMounts: [{{name: shm, mountPath: /dev/shm}}]
      volumes:
        - name: shm
          emptyDir: {{medium: Memory, sizeLimit: {size}}}
"""
VLLM = "vllm/vllm-openai:v0.33.0"


@pytest.mark.parametrize(
    ("image", "command", "enough"),
    [
        # 160 MiB + 8 x 240 MiB of rings and 8 x 160 MiB of NCCL: 3.3 GiB
        (VLLM, "vllm, serve, /m, -tp, '8'", 4),
        # copies of one rank have no rings: 8 x 160 MiB of NCCL, 1.25 GiB
        (VLLM, "vllm, serve, /m, -tp, '1', -dp, '8'", 2),
        (VLLM, "vllm, serve, /m, -dp, '16', -dpl, '8'", 2),
        # two copies: 2 x (160 MiB + 4 x 240 MiB) of rings, 8 x 160 MiB of NCCL: 3.4 GiB
        (VLLM, "vllm, serve, /m, -tp, '4', -dp, '2'", 4),
    ],
)
def test_data_parallel_copies_have_their_own_rings(linted, image, command, enough):
    def codes(gib):
        return linted(GROUP.format(image=image, command=command, size=f"{gib}Gi")).codes

    assert "shm-small" not in codes(enough)
    assert "shm-small" in codes(enough - 1)
