"""A server that holds one Secret as the API server does, and the job that fills it, as rendered."""

import base64
import contextlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import yaml

from shardwright.render.pods import ssh_keys

JOB = Path(__file__).parents[1] / "golden/render/tensorrt-llm-mpi/expected"
PATH = "/api/v1/namespaces/default/secrets/llama-405b-ssh"


class Api(http.server.BaseHTTPRequestHandler):
    """One Secret with a version, behind a token, as the API server keeps it."""

    def do_GET(self):
        if self.is_allowed():
            self.answer(200, self.server.secret)

    def do_PATCH(self):
        if not self.is_allowed():
            return
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Content-Type"] == "application/merge-patch+json"
        if self.server.before_patch:
            self.server.before_patch.pop()(self.server)
        metadata = self.server.secret["metadata"]
        if body["metadata"]["resourceVersion"] != metadata["resourceVersion"]:
            self.answer(409, {"reason": "Conflict"})
            return
        self.server.patches += 1
        fill(self.server, body["data"])
        self.answer(200, self.server.secret)

    def is_allowed(self):
        if self.path != PATH:
            self.answer(404, {"reason": "NotFound"})
        elif self.headers.get("Authorization") != "Bearer token-of-the-job":
            self.answer(403, {"reason": "Forbidden"})
        else:
            return True
        return False

    def answer(self, code, body):
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


def fill(server, data):
    server.secret["data"] = {**server.secret.get("data", {}), **data}
    metadata = server.secret["metadata"]
    metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)


@contextlib.contextmanager
def secret_server():
    """Serve an empty Secret for a while."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.secret = {"metadata": {"name": "llama-405b-ssh", "resourceVersion": "7"}}
    server.patches = 0
    server.before_patch = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def job_run(api, folder, token="token-of-the-job"):
    """Run the rendered command of the job beside this server."""
    (path,) = JOB.glob("job-*-ssh-keys-*.yaml")
    (container,) = yaml.safe_load(path.read_text())["spec"]["template"]["spec"]["containers"]
    script = container["command"][1]
    account = folder / "account"
    account.mkdir(exist_ok=True)
    (account / "token").write_text(token + "\n")
    command = [sys.executable, ssh_keys.__file__, *container["command"][2:]]
    command = [re.sub(r"--scratch=.*", f"--scratch={folder}", word) for word in command]
    command += [f"--api=http://127.0.0.1:{api.server_port}", f"--account={account}"]
    assert script.endswith("/ssh_keys.py")
    proxies = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    return subprocess.run(
        command, env={**os.environ, **proxies}, capture_output=True, text=True, check=False
    )


def decoded(server):
    """What the Secret holds."""
    return {name: base64.b64decode(value) for name, value in server.secret["data"].items()}


def made_keys(folder):
    """Make the keys of a group as the job does; return them by their names."""
    with secret_server() as server:
        done = job_run(server, folder)
        assert done.returncode == 0, done.stderr
        return {name: value.decode() for name, value in decoded(server).items()}
