import re

import pytest

from shardwright.engines.cpu_environment import (
    ENGINE_LOCKS,
    find_lock,
    refuse_machine,
    too_little_disk,
)
from shardwright.model.errors import ShardwrightError


@pytest.mark.parametrize("lock", ENGINE_LOCKS, ids=lambda lock: lock.name)
def test_every_package_is_pinned_and_hashed_and_no_host_is_named(lock):
    text = lock.file.read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", text.strip())
    assert len(entries) > 100
    for entry in entries:
        assert re.match(r"[a-z0-9][\w.-]*==\S+", entry)
        if "sys_platform == 'never'" not in entry:
            assert "--hash=sha256:" in entry
    assert "://" not in text


@pytest.mark.parametrize("name", ["torchvision", "torchaudio", "torchcodec", "triton"])
def test_what_the_cpu_engine_does_not_need_is_left_out(name):
    text = find_lock("vllm").file.read_text(encoding="utf-8")
    (line,) = re.findall(rf"^{name}==.*$", text, re.MULTILINE)
    assert "sys_platform == 'never'" in line


def test_an_unknown_engine_names_the_known_ones():
    with pytest.raises(ShardwrightError) as caught:
        find_lock("trtllm")
    assert caught.value.code == "engine-not-packaged"
    assert "vllm" in caught.value.remedy


@pytest.mark.parametrize(
    ("system", "architecture", "flags", "code"),
    [
        ("Linux", "x86_64", {"avx2", "fma"}, None),
        ("Linux", "x86_64", {"sse4_2"}, "cpu-too-old"),
        ("Linux", "aarch64", set(), None),
        ("Linux", "riscv64", set(), "platform-not-rehearsed"),
        ("Darwin", "arm64", set(), "platform-not-rehearsed"),
    ],
)
def test_machines(system, architecture, flags, code):
    refusal = refuse_machine(system, architecture, frozenset(flags))
    assert (refusal.code if refusal else None) == code


def test_a_full_disk_is_noticed_before_the_download():
    lock = find_lock("vllm")
    needed = lock.download_bytes + lock.disk_bytes
    assert too_little_disk(lock, needed) is None
    refusal = too_little_disk(lock, needed - 1)
    assert refusal.code == "disk-too-small"
    assert "7.9 GiB" in refusal.what  # 8.43e9 / 2^30
