import hashlib
from types import SimpleNamespace

import pytest

from shardwright.launch.pods.download import check, wanted


def test_second_copies_and_formats_that_run_code_are_left_out():
    names = [
        "model-1.safetensors",
        "config.json",
        "original/consolidated.00.pth",
        "a.bin",
        "b.gguf",
    ]
    assert wanted(names) == ["model-1.safetensors", "config.json"]


def test_repository_without_safetensors_is_refused():
    with pytest.raises(SystemExit, match="no safetensors"):
        wanted(["pytorch_model.bin", "config.json"])


def published(name, content):
    lfs = SimpleNamespace(sha256=hashlib.sha256(content).hexdigest())
    return SimpleNamespace(rfilename=name, size=len(content), lfs=lfs)


def test_file_of_another_size_or_content_is_deleted_so_that_it_is_fetched_again(tmp_path):
    files = [published("a", b"one"), published("b", b"two"), published("c", b"abc")]
    for name, content in (("a", b"one"), ("b", b"twx"), ("c", b"abcd")):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SystemExit) as said:
        check(tmp_path, files)
    assert "b has other content" in str(said.value)
    assert "c has 4 bytes of 3" in str(said.value)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    check(tmp_path, files[:1])
