"""Whether shared memory is there, where somebody else than the manifest may have put it."""

from pathlib import Path

KUBERAY = Path(__file__).parents[3] / "golden" / "lint" / "good" / "kuberay.yaml"


def test_kuberay_mounts_shared_memory_for_its_own_container_alone(linted):
    text = KUBERAY.read_text()
    without = "\n".join(line for line in text.split("\n") if "/dev/shm" not in line)
    assert without != text
    assert "shm-missing" not in linted(without).codes
    second = "- {name: first, image: busybox:1}\n            - name: worker"
    beside = without.replace("- name: worker", second)
    assert "shm-missing" in linted(beside).codes
