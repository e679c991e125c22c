"""Which context of which file is used, and what is said if there is none."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import yaml

from shardwright.drive import kubeconfig
from shardwright.drive.kubeconfig import find_access
from shardwright.model.errors import ExitCode, ShardwrightError


def config(path: Path, *names: str, current: str | None = None, **cluster: object) -> Path:
    """A kubeconfig with a cluster, a user and a context of each name."""
    entries = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current or "",
        "clusters": [{"name": n, "cluster": {"server": f"https://{n}", **cluster}} for n in names],
        "users": [{"name": n, "user": {"token": f"token-{n}"}} for n in names],
        "contexts": [
            {"name": n, "context": {"cluster": n, "user": n, "namespace": f"space-{n}"}}
            for n in names
        ],
    }
    path.write_text(yaml.safe_dump(entries))
    return path


def refusal(*args: object, **env: str) -> ShardwrightError:
    with pytest.raises(ShardwrightError) as caught:
        find_access(*args, env=env)  # type: ignore[arg-type]
    assert caught.value.code == "kubeconfig-unusable"
    assert caught.value.exit_code is ExitCode.USAGE
    return caught.value


def test_the_current_context_or_the_named_one(tmp_path: Path) -> None:
    path = config(tmp_path / "config", "a", "b", current="a")
    found = find_access(path, None)
    assert (found.server, found.namespace, found.user["token"]) == (
        "https://a", "space-a", "token-a",
    )  # fmt: skip
    assert find_access(path, "b").server == "https://b"


def test_files_are_merged_the_first_wins(tmp_path: Path) -> None:
    """Source: kubernetes.io/docs, Organizing Cluster Access: first file to set a value wins."""
    first = config(tmp_path / "1", "a", current="b")
    second = config(tmp_path / "2", "a", "b", current="a")
    text = second.read_text().replace("https://a", "https://other")
    second.write_text(text)
    env = {"KUBECONFIG": f"{first}:{tmp_path / 'absent'}:{second}"}
    assert find_access(None, None, env).server == "https://b"
    assert find_access(None, "a", env).server == "https://a"


def test_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(b"authority")
    path = config(tmp_path / "config", "a", current="a", **{"certificate-authority": "ca.crt"})
    assert find_access(path, None).pem("cluster", "certificate-authority") == b"authority"
    inline = base64.b64encode(b"inline").decode()
    path = config(tmp_path / "2", "a", current="a", **{"certificate-authority-data": inline})
    assert find_access(path, None).pem("cluster", "certificate-authority") == b"inline"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    path = config(tmp_path / "config", "a", "b")
    assert refusal(path, None).what == f"{path} has no current context"
    wrong = refusal(path, "production")
    assert wrong.what == f"there is no context production in {path}"
    assert wrong.cause == "its contexts are: a, b"
    assert "cannot be read: No such file" in refusal(tmp_path / "absent", None).what
    gone = refusal(None, None, KUBECONFIG=str(tmp_path / "absent"))
    assert gone.what == f"none of {tmp_path / 'absent'} exists"


@pytest.mark.parametrize("text", ["[1, 2]", "clusters: [{cluster: {}}]", "a: [", "kind: Pod"])
def test_a_file_that_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    assert str(path) in refusal(path, None).what


def test_in_a_pod_its_own_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("t")
    (tmp_path / "namespace").write_text("team\n")
    monkeypatch.setattr(kubeconfig, "ACCOUNT", tmp_path)
    monkeypatch.setattr(kubeconfig, "HOME_FILE", tmp_path / "no-config")
    found = find_access(None, None, {"KUBERNETES_SERVICE_HOST": "fd00::1"})
    assert (found.server, found.namespace) == ("https://[fd00::1]:443", "team")
    assert found.user == {"tokenFile": str(tmp_path / "token")}
