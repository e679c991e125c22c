"""The engine's own libraries read what we write: tokenizer, chat template, tensors."""

import json
import os
import subprocess
import sys

import pytest

from shardwright.drive.checkpoint import write_checkpoint
from shardwright.drive.environment import ensure
from shardwright.engines.vllm import split_layers
from shardwright.facts import models
from shardwright.model.layout import Layout
from shardwright.rehearse.shrink import shrink
from shardwright.rehearse.weights import tensors

pytestmark = pytest.mark.rehearsal

TEXTS = ["Grüße, 世界! \U0001f600", "the ranks  meet\n\tat 10:00", "", "<|role|>"]
READ = """
import json, sys
from safetensors import safe_open
from transformers import AutoTokenizer
folder, texts = sys.argv[1], json.loads(sys.argv[2])
tokenizer = AutoTokenizer.from_pretrained(folder)
ids = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
chat = [{"role": "user", "content": "hi"}]
with safe_open(f"{folder}/model.safetensors", "pt") as file:
    stored = {name: list(file.get_tensor(name).shape) for name in file.keys()}
    widest = float(file.get_tensor("lm_head.weight").float().abs().max())
print(json.dumps({
    "back": [tokenizer.decode(i) for i in ids],
    "lengths": [len(i) for i in ids],
    "end": tokenizer.eos_token_id,
    "chat": tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True),
    "stored": stored,
    "widest": widest,
}))
"""


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "model"
    layout = Layout(tensor_parallel=2, pipeline_parallel=2)
    small = shrink(models.load("Qwen/Qwen3-30B-A3B").config, layout, layout, split_layers)
    write_checkpoint(small, folder)
    python = ensure("vllm", lambda line: print(line, file=sys.stderr)).python
    ran = subprocess.run(
        [str(python), "-c", READ, str(folder), json.dumps(TEXTS)],
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTHON")},
        capture_output=True,
        text=True,
        check=True,
    )
    return small, json.loads(ran.stdout.splitlines()[-1])


def test_any_text_comes_back(read):
    _, seen = read
    assert seen["back"] == TEXTS
    assert seen["lengths"][3] == 1  # a special token is one token
    assert seen["lengths"][1] < len(TEXTS[1])  # merges are applied
    assert seen["end"] == 257


def test_the_chat_template_marks_turns(read):
    assert read[1]["chat"] == "<|role|>user\nhi<|turn|>\n<|role|>assistant\n"


def test_every_tensor_is_there_in_its_shape(read):
    small, seen = read
    assert seen["stored"] == {t.name: list(t.shape) for t in tensors(small.shape)}
    # uniform with standard deviation 4 / sqrt(256): at most sqrt(3) times that
    assert 0.40 < seen["widest"] < 0.435
