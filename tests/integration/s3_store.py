"""A real S3 store on loopback, and a Python that has boto3: moto's server, from PyPI."""

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

PACKAGES = ("moto[server]==5.2.5", "boto3==1.44.8")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "shardwright"
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}


def uv():
    found = shutil.which("uv") or CACHE / "tools" / "bin" / "uv"
    return str(found) if Path(found).exists() else None


def python():
    """Return a Python with moto and boto3, made once: its name tells what is in it."""
    key = hashlib.sha256(repr(PACKAGES).encode()).hexdigest()[:12]
    folder = CACHE / "tests" / f"s3-{key}"
    if not (folder / "whole").exists():
        for command in (["venv", "--clear"], ["pip", "install", *PACKAGES, "--python"]):
            subprocess.run([uv(), *command, folder], check=True, capture_output=True)
        (folder / "whole").touch()
    return str(folder / "bin" / "python")


@contextlib.contextmanager
def store(log):
    """Run a store; yield the variables by which clients find it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [python(), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("w") as file:
        server = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield {**KEYS, "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"}
    finally:
        server.kill()
        server.wait()
