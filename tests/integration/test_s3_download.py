"""The download from a bucket: the job's program, boto3, and an S3 store on loopback."""

import os
import subprocess

import pytest

from shardwright.launch.pods import download

from .s3_store import python, store, uv

pytestmark = pytest.mark.skipif(uv() is None, reason="needs uv, which make setup fetches")
SMALL, LARGE = os.urandom(1000), os.urandom(11 * 2**20)
FILES = {"config.json": b"{}", "a/model-1.safetensors": SMALL, "empty.txt": b""}
PUT = """
import boto3, io, json, sys
from boto3.s3.transfer import TransferConfig
s3 = boto3.client("s3")
for bucket in ("models", "others"):
    s3.create_bucket(Bucket=bucket)
for name in sys.argv[1:]:
    key, path = name.split("=")
    parts = TransferConfig(multipart_threshold=5 * 2**20, multipart_chunksize=5 * 2**20)
    s3.upload_file(path, "models", key, Config=parts)
"""


@pytest.fixture
def bucket(tmp_path):
    """Hold a model in s3://models/llama: small files whole, the large one in three parts."""
    contents = {**FILES, "model-2.safetensors": LARGE, "pytorch_model.bin": b"code"}
    arguments = []
    for number, (name, content) in enumerate(contents.items()):
        (tmp_path / str(number)).write_bytes(content)
        arguments.append(f"llama/{name}={tmp_path / str(number)}")
    (tmp_path / "other").write_bytes(b"another model")
    arguments.append(f"llama-2/config.json={tmp_path / 'other'}")
    with store(tmp_path / "store.log") as env:
        run(env, "-c", PUT, *arguments, check=True)
        yield env, tmp_path / "weights"


def run(env, *arguments, check=False):
    return subprocess.run(
        [python(), *arguments],
        env={**os.environ, **env}, capture_output=True, text=True, check=check,
    )  # fmt: skip


def fetch(env, folder, source="s3://models/llama"):
    return run(env, download.__file__, source, "--local-dir", str(folder))


def held(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


EXPECTED = {**FILES, "model-2.safetensors": LARGE}


def test_a_model_is_brought_whole_and_what_can_run_code_is_left(bucket):
    env, folder = bucket
    done = fetch(env, folder)
    assert done.stdout == "download: 4 files of s3://models/llama are whole\n", done.stderr
    assert held(folder) == EXPECTED


def test_an_interrupted_download_goes_on_where_it_stopped(bucket):
    env, folder = bucket
    fetch(env, folder)
    (tag,) = tags(env)
    (folder / "model-2.safetensors").unlink()
    part = folder / f"model-2.safetensors.{tag}.part"
    part.write_bytes(LARGE[: 6 * 2**20])
    served = (folder.parent / "store.log").read_text()
    assert fetch(env, folder).returncode == 0
    assert held(folder) == EXPECTED
    asked = (folder.parent / "store.log").read_text()[len(served) :]
    assert " 206 " in asked, "the rest alone is asked for"
    assert asked.count("GET /models/llama/") == 1, "what is whole is not fetched again"


def tags(env):
    say = "import boto3; print(boto3.client('s3').head_object(Bucket='models', Key='llama/model-2.safetensors')['ETag'])"  # noqa: E501
    return [run(env, "-c", say, check=True).stdout.strip().strip('"')]


@pytest.mark.parametrize("name", ["a/model-1.safetensors", "model-2.safetensors"])
def test_a_damaged_file_of_the_right_size_is_fetched_again(bucket, name):
    env, folder = bucket
    fetch(env, folder)
    path = folder / name
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert fetch(env, folder).returncode == 0
    assert held(folder) == EXPECTED


def test_a_damaged_part_is_thrown_away_and_said(bucket):
    env, folder = bucket
    (tag,) = tags(env)
    folder.mkdir()
    part = folder / f"model-2.safetensors.{tag}.part"
    part.write_bytes(b"x" * 2**20)
    done = fetch(env, folder)
    assert done.returncode == 1
    assert done.stderr == ("download: model-2.safetensors has other content than was published\n")
    assert not part.exists()
    assert fetch(env, folder).returncode == 0
    assert held(folder) == EXPECTED


def test_a_prefix_without_safetensors_is_refused(bucket):
    env, folder = bucket
    done = fetch(env, folder, "s3://models/llama-2")
    assert done.returncode == 1
    assert "no safetensors" in done.stderr


def test_what_is_not_there_is_said_without_a_traceback(bucket):
    env, folder = bucket
    done = fetch(env, folder, "s3://nothing/llama")
    assert done.returncode == 1
    assert done.stderr.startswith("download: s3://nothing/llama: ")
    assert "Traceback" not in done.stderr
    assert "NoSuchBucket" in done.stderr
