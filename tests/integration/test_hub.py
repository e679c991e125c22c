"""The hub adapter against a server on this machine that speaks the hub's protocol."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from shardwright.cli.resolve import resolve
from shardwright.cli.staging import shrunk
from shardwright.drive.hub import Hub, MemoryHub
from shardwright.model.configs import ConfigSource
from shardwright.model.errors import ShardwrightError
from shardwright.shape import read_config

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
    "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 128,
}  # fmt: skip
QUANTIZATION = {"quantization": {"quant_algo": "NVFP4", "exclude_modules": ["lm_head"]}}
FILES = {
    "/org/plain/resolve/main/config.json": CONFIG,
    "/org/fp4/resolve/main/config.json": CONFIG,
    "/org/fp4/resolve/main/hf_quant_config.json": QUANTIZATION,
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer(BaseHTTPRequestHandler):
    """Answers /{org}/{name}/resolve/{revision}/{file} as the hub does."""

    def answer(self, with_body):
        path = self.path.partition("?")[0]
        if path.startswith("/org/gated/"):
            return self.refuse(403, "GatedRepo")
        if not path.startswith(("/org/plain/", "/org/fp4/", "/org/empty/")):
            return self.refuse(404, "RepoNotFound")
        if path not in FILES:
            return self.refuse(404, "EntryNotFound")
        body = json.dumps(FILES[path]).encode()
        self.send_response(200)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{abs(hash(path)):x}"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        return self.wfile.write(body) if with_body else None

    def refuse(self, status, code):
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self):
        self.answer(with_body=False)

    def do_GET(self):
        self.answer(with_body=True)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadingHTTPServer(("127.0.0.1", 0), HubServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def hub(endpoint, tmp_path):
    return Hub(endpoint=endpoint, cache_dir=str(tmp_path))


@pytest.fixture(params=["real", "memory"])
def source(request) -> ConfigSource:
    if request.param == "memory":
        return MemoryHub({"org/plain": CONFIG})
    return request.getfixturevalue("hub")


def test_both_sources_keep_the_same_contract(source):
    assert source.config("org/plain") == CONFIG
    with pytest.raises(ShardwrightError) as caught:
        source.config("org/absent")
    assert caught.value.code == "model-not-found"


def test_hf_endpoint_is_honoured(endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert Hub(cache_dir=str(tmp_path)).config("org/plain")["hidden_size"] == 64


def test_quantization_kept_beside_the_config_is_found(hub):
    shape = read_config(hub.config("org/fp4"), "org/fp4")
    assert shape.quantization.scheme.name == "nvfp4"
    assert shape.findings == ()


def test_a_gated_model_says_how_to_get_in(hub):
    with pytest.raises(ShardwrightError) as caught:
        hub.config("org/gated")
    assert caught.value.code == "model-gated"
    assert "HF_TOKEN" in caught.value.remedy


def test_a_repository_without_a_config_is_told_apart(hub):
    with pytest.raises(ShardwrightError) as caught:
        hub.config("org/empty")
    assert caught.value.code == "config-missing"


def test_a_hub_out_of_reach_points_to_a_file(tmp_path):
    nobody = Hub(endpoint="http://127.0.0.1:9", cache_dir=str(tmp_path))
    with pytest.raises(ShardwrightError) as caught:
        nobody.config("meta-llama/Llama-3.1-7B")
    assert caught.value.code == "hub-unreachable"
    assert "configFile" in caught.value.remedy
    assert "meta-llama/Llama-3.1-8B" in caught.value.remedy


def test_a_model_of_the_hub_is_rehearsed_by_its_own_config(endpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    spec = tmp_path / "spec.yaml"
    spec.write_text(
        "apiVersion: shardwright.dev/v1alpha1\nkind: DistributedInference\nspec:\n"
        "  model: {id: org/plain}\n  cluster: {gpu: H100-SXM}\n"
        f"  network: {{hfEndpoint: '{endpoint}'}}\n"
    )
    small = shrunk(resolve(spec), tmp_path, None).small
    assert small.config["architectures"] == ["LlamaForCausalLM"]
    assert sum(small.layers) == small.config["num_hidden_layers"]
