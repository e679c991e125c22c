import hashlib
import sys
from threading import Semaphore
from types import SimpleNamespace

import pytest

from shardwright.launch.pods import download
from shardwright.launch.pods.download import Pace, check, held, telling, wanted


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


def test_unfinished_files_count_and_files_that_vanish_do_not(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"12345")
    cache = tmp_path / ".cache" / "huggingface" / "download"
    cache.mkdir(parents=True)
    (cache / "b.incomplete").write_bytes(b"123")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert held(tmp_path) == 8
    assert held(tmp_path / "not-there-yet") == 0


def test_a_file_fetched_again_makes_no_negative_rate():
    pace = Pace(8_000_000_000, 4_000_000_000, 0)
    assert pace.line(1_000_000_000, 10) == "1.0 of 8.0 GB, 0.0 MB/s"
    assert pace.line(9_000_000_000, 20) == "8.0 of 8.0 GB, 800.0 MB/s"


def test_it_is_said_while_something_else_goes_on(monkeypatch, capsys):
    monkeypatch.setattr(download, "SAY_EVERY_S", 0)
    asked = Semaphore(0)

    def done():
        asked.release()
        return 4_100_000_000

    with telling(8_000_000_000, done):
        for _ in range(3):  # the first moment, then two lines of which one is certainly written
            assert asked.acquire(timeout=30)
    assert "download: 4.1 of 8.0 GB, 0.0 MB/s\n" in capsys.readouterr().out


def test_claim_that_cannot_be_written_is_said_with_its_user(monkeypatch):
    def refused(model, revision, folder):
        raise PermissionError(13, "Permission denied", f"{folder}/config.json")

    monkeypatch.setattr(download, "from_hub", refused)
    monkeypatch.setattr(download.os, "getuid", lambda: 2000)
    monkeypatch.setattr(sys, "argv", ["download.py", "a/b", "--local-dir", "/models/a/b"])
    with pytest.raises(SystemExit) as said:
        download.main()
    assert "user 2000" in str(said.value)
    assert "/models/a/b/config.json" in str(said.value)
    assert "fsGroup" in str(said.value)
