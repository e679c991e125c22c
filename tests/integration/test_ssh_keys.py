"""The job that makes the keys of a group: Debian's ssh-keygen, and a server that holds a Secret."""

import base64
import shutil
import stat
import subprocess

import pytest

from shardwright.render.pods import ssh_keys

from .one_secret import decoded, fill, job_run, secret_server

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs openssh-client")


@pytest.fixture
def api():
    with secret_server() as server:
        yield server


def test_an_empty_secret_is_filled_with_keys_that_fit_each_other(api, tmp_path):
    done = job_run(api, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    keys = decoded(api)
    assert set(keys) == {"id_ed25519", "authorized_keys", "ssh_host_ed25519_key", "known_hosts"}
    assert public_of(keys["id_ed25519"], tmp_path) == keys["authorized_keys"].split()[1]
    pattern, kind, host = keys["known_hosts"].split()
    assert (pattern, kind) == (b"*", b"ssh-ed25519")
    assert public_of(keys["ssh_host_ed25519_key"], tmp_path) == host
    assert host != keys["authorized_keys"].split()[1]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["account"]
    assert b"PRIVATE" not in (done.stdout + done.stderr).encode()


def public_of(private, folder):
    path = folder / "private"
    path.write_bytes(private)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    argv = ["ssh-keygen", "-y", "-P", "", "-f", str(path)]
    shown = subprocess.run(argv, capture_output=True, check=True).stdout
    path.unlink()
    return shown.split()[1]


def test_a_second_run_leaves_the_keys_as_they_are(api, tmp_path):
    job_run(api, tmp_path)
    before = decoded(api)
    again = job_run(api, tmp_path)
    assert (again.returncode, again.stdout) == (0, "shardwright: the keys are there already\n")
    assert (decoded(api), api.patches) == (before, 1)


def test_another_run_that_was_quicker_wins_whole(api, tmp_path):
    theirs = {name: base64.b64encode(b"theirs").decode() for name in ssh_keys.NAMES}
    api.before_patch.append(lambda server: fill(server, theirs))
    done = job_run(api, tmp_path)
    assert (done.returncode, done.stdout) == (0, "shardwright: the keys are there already\n")
    assert set(decoded(api).values()) == {b"theirs"}


def test_half_a_set_is_replaced_whole(api, tmp_path):
    fill(api, {"id_ed25519": base64.b64encode(b"old").decode()})
    assert job_run(api, tmp_path).returncode == 0
    keys = decoded(api)
    assert public_of(keys["id_ed25519"], tmp_path) == keys["authorized_keys"].split()[1]


def test_a_job_without_the_right_says_so_without_a_traceback(api, tmp_path):
    done = job_run(api, tmp_path, token="of-somebody-else")
    assert done.returncode == 1
    assert done.stderr == 'ssh-keys: the API server answered 403: {"reason": "Forbidden"}\n'


def test_without_an_api_server_it_says_so(api, tmp_path):
    api.shutdown()
    api.server_close()
    done = job_run(api, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("ssh-keys: cannot reach the API server: ")
