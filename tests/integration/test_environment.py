"""A real uv installs a tiny engine from a wheel made here; no network is used."""

import base64
import hashlib
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from shardwright.drive import environment
from shardwright.drive.environment import State
from shardwright.engines.cpu_environment import EngineLock
from shardwright.model.errors import ShardwrightError

MODULES = {"tiny.py": "ANSWER = 42\n", "tiny_worker.py": "import tiny\n"}


@dataclass(frozen=True, kw_only=True)
class LocalLock(EngineLock):
    folder: Path

    @property
    def file(self):
        return self.folder / "lock.txt"


def record_line(name, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}"


@pytest.fixture
def lock(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SHARDWRIGHT_TINY", raising=False)
    wheel = tmp_path / "tiny_engine-1.0-py3-none-any.whl"
    info = "tiny_engine-1.0.dist-info"
    files = {
        **MODULES,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: tiny-engine\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [record_line(name, text.encode()) for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (tmp_path / "lock.txt").write_text(f"tiny-engine @ {wheel.as_uri()} --hash=sha256:{digest}\n")
    return LocalLock(
        folder=tmp_path,
        engine="tiny",
        version="1.0",
        pythons=(11, sys.version_info[1]),
        metadata=("tiny", "1.0+cpu"),
        imports=("tiny_worker",),
        libraries={},
        tools={},
        download_bytes=1000,
        disk_bytes=1000,
    )


def test_install_verify_damage_mend_remove(lock):
    said = []
    assert environment.state(lock) is State.ABSENT
    ready = environment.install(lock, said.append)
    assert environment.state(lock) is State.READY
    assert ready.python.is_file()
    assert environment.verify(lock) == ()
    assert said[-1] == "tiny 1.0 is ready"

    said.clear()
    environment.install(lock, said.append)
    assert said == []  # nothing to do

    site = environment.site_packages(environment.directory(lock))
    (site / "tiny.py").unlink()  # not written through: it is one file with that in uv's cache
    (site / "tiny.py").write_text("ANSWER = 4")
    assert environment.verify(lock) == ("tiny.py has 10 bytes, not 12",)

    (environment.directory(lock) / environment.MARKER).unlink()  # as an interrupted install leaves
    assert environment.state(lock) is State.INCOMPLETE
    environment.install(lock, said.append)
    assert environment.verify(lock) == ()

    assert environment.remove(lock)
    assert environment.state(lock) is State.ABSENT
    assert not environment.remove(lock)


def test_a_wrong_hash_is_refused_and_leaves_nothing_that_looks_ready(lock):
    text = lock.file.read_text()
    lock.file.write_text(text[:-5] + ("0000\n" if text[-5:-1] != "0000" else "1111\n"))
    with pytest.raises(ShardwrightError) as caught:
        environment.install(lock, lambda _line: None)
    assert caught.value.code == "engine-install-failed"
    assert environment.state(lock) is State.INCOMPLETE


def test_an_engine_that_does_not_import_is_not_called_ready(lock):
    broken = LocalLock(**{**_fields(lock), "imports": ("tiny", "no_such_module")})
    with pytest.raises(ShardwrightError) as caught:
        environment.install(broken, lambda _line: None)
    assert caught.value.code == "engine-does-not-start"
    assert "no_such_module" in caught.value.cause
    assert environment.state(broken) is State.INCOMPLETE


def test_an_import_that_hangs_is_ended_and_told(lock, monkeypatch):
    environment.install(lock, lambda _line: None)
    hanging = "import time; time.sleep(60)"
    (environment.site_packages(environment.directory(lock)) / "tiny_hangs.py").write_text(hanging)
    monkeypatch.setattr(environment, "IMPORT_S", 1.0)
    with pytest.raises(ShardwrightError) as caught:
        environment.check_imports(LocalLock(**{**_fields(lock), "imports": ("tiny_hangs",)}))
    assert caught.value.code == "engine-does-not-start"
    assert caught.value.cause == "the import did not end within 1 s"


def test_a_missing_system_library_is_named_before_the_download(lock):
    broken = LocalLock(**{**_fields(lock), "libraries": {"libnot-there.so.9": "libnot-there9"}})
    with pytest.raises(ShardwrightError) as caught:
        environment.install(broken, lambda _line: None)
    assert caught.value.code == "library-missing"
    assert "libnot-there9" in caught.value.remedy
    assert environment.state(broken) is State.ABSENT


def test_a_missing_program_of_the_system_is_named_with_its_package(lock):
    broken = LocalLock(**{**_fields(lock), "tools": {"not-there++": "not-there"}})
    with pytest.raises(ShardwrightError) as caught:
        environment.install(broken, lambda _line: None)
    assert caught.value.code == "tool-missing"
    assert "not-there" in caught.value.remedy
    assert environment.state(broken) is State.ABSENT


def test_the_users_own_engine_is_used_instead(lock, monkeypatch):
    ready = environment.install(lock, lambda _line: None)
    monkeypatch.setenv("SHARDWRIGHT_TINY", str(ready.python))
    chosen = environment.pointed_to("tiny")
    assert chosen.programs == ready.programs
    assert chosen.version == "1.0+cpu"
    assert not chosen.is_ours


@pytest.mark.parametrize(
    ("value", "code"),
    [("/no/such/python", "engine-path-not-found"), (sys.executable, "engine-not-in-environment")],
)
def test_a_wrong_pointer_is_the_users_error(value, code, monkeypatch):
    monkeypatch.setenv("SHARDWRIGHT_TINY", value)
    with pytest.raises(ShardwrightError) as caught:
        environment.ensure("tiny", lambda _line: None)
    assert caught.value.code == code


def _fields(lock):
    return {name: getattr(lock, name) for name in lock.__dataclass_fields__}
