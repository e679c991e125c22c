"""A small byte-level BPE tokenizer that really works, written as the files engines read.

Any text round-trips: 256 bytes, the merges learnt from the paragraph below, a few special tokens.
The format is that of the `tokenizers` library (tokenizer.json), which needs not be installed here.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from itertools import pairwise
from typing import Any

NUM_MERGES = 192
SPECIAL = ("<|begin|>", "<|end|>", "<|role|>", "<|turn|>")
IDS = {"bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 257}

CHAT_TEMPLATE = (
    "{% for message in messages %}<|role|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|turn|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|role|>assistant\n{% endif %}"
)

_TEXT = """
The model is cut over the graphics processors of several nodes. Inside a node every rank holds a
part of each layer and the ranks add their results together; between the nodes one stage hands the
activations of its last layer to the next stage. The first stage holds the embedding, the last one
holds the head and samples the next token. When all of the ranks have loaded their weights and met
at the rendezvous, the leader opens the port and the endpoint is ready to answer the first request.
What is the name of this place? How many people are there, and where are they going? I think that
you should write a short answer, then explain what it means and why it is not what they expected.
"""


@cache
def byte_letters() -> dict[int, str]:
    """One printable letter for each byte, as byte-level BPE has it since GPT-2."""
    kept = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    out = {byte: chr(byte) for byte in kept}
    for number, byte in enumerate(b for b in range(256) if b not in out):
        out[byte] = chr(256 + number)
    return out


@cache
def merges() -> tuple[tuple[str, str], ...]:
    """Learn the pairs to merge: most frequent first, ties by the pair itself."""
    letters = byte_letters()
    words = Counter(re.findall(r" ?\w+| ?[^\s\w]+", _TEXT.replace("\n", " ")))
    split = {tuple(letters[b] for b in word.encode()): n for word, n in words.items()}
    out: list[tuple[str, str]] = []
    while len(out) < NUM_MERGES:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, n in split.items():
            for pair in pairwise(word):
                pairs[pair] += n
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        out.append(best)
        split = {_merge(word, best): n for word, n in split.items()}
    return tuple(out)


def _merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    out: list[str] = []
    for letter in word:
        if out and (out[-1], letter) == pair and len(out[-1]) == len(pair[0]):
            out[-1] += letter
        else:
            out.append(letter)
    return tuple(out)


@cache
def vocabulary() -> dict[str, int]:
    """Id of every token: bytes, special tokens, then merges in the order they were learnt."""
    letters = byte_letters()
    out = {letters[byte]: byte for byte in range(256)}
    out |= {token: len(out) + i for i, token in enumerate(SPECIAL)}
    for left, right in merges():
        out.setdefault(left + right, len(out))
    return out


def readable_ids() -> list[int]:
    """Ids whose text is plain ASCII: what random weights are nudged to say."""
    plain = {letter for byte, letter in byte_letters().items() if 32 <= byte < 127}
    return [i for token, i in vocabulary().items() if token not in SPECIAL and set(token) <= plain]


def files(max_length: int) -> dict[str, dict[str, Any]]:
    """tokenizer.json and tokenizer_config.json, as values."""
    vocab = vocabulary()
    byte_level = {"type": "ByteLevel", "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_special(token, vocab[token]) for token in SPECIAL],
        "normalizer": None,
        "pre_tokenizer": {**byte_level, "add_prefix_space": False},
        "post_processor": None,
        "decoder": {**byte_level, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,  # special tokens too: the library numbers unknown ones by itself
            "merges": [list(pair) for pair in merges()],
        },
    }
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[0],
        "eos_token": SPECIAL[1],
        "pad_token": SPECIAL[1],
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    return {"tokenizer.json": tokenizer, "tokenizer_config.json": config}


def _special(content: str, token_id: int) -> dict[str, Any]:
    return {
        "id": token_id,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
