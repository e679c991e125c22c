"""No secret of the usual kinds leaves in a bundle, and the rest stays readable."""

import time

import pytest

from shardwright.diagnose.redaction import redact

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("HF_TOKEN=hf_AbCdEfGhIjKlMnOpQrStUvWx", "hf_AbC"),
        ("  - {name: HF_TOKEN, value: plainvalue123}", "plainvalue123"),
        ("- name: DB_PASSWORD\n  value: hunter22", "hunter22"),
        ('{"name": "API_KEY", "value": "abc12345"}', "abc12345"),
        ("Authorization: Bearer abcdefghijklmnop", "abcdefghijklmnop"),
        (f"token: {JWT}", "eyJzdWI"),
        ("https_proxy=http://joe:s3cret@proxy.example:3128", "s3cret"),
        ("args: --api-key sk-abcdefghijklmnopqrstuvwx", "sk-abc"),
        ("--api-key=tops3cretvalue", "tops3cretvalue"),
        ("'api_key': 'tops3cretvalue'", "tops3cretvalue"),
        ("AWS_ACCESS_KEY_ID AKIAABCDEFGHIJKLMNOP", "AKIAABCD"),
        ("aws_secret_access_key = wJalrXUtnFEMIK7MDENG", "wJalrX"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNza\n-----END OPENSSH PRIVATE KEY-----",
            "b3Bl",
        ),
        ("kind: Secret\ndata:\n  token: aGZfdG9rZW4xMjM0\n  other: c29tZXRoaW5nZWxzZQ==", "c29t"),
    ],
)
def test_secret_is_hidden(text, secret):
    shown, hidden = redact(text)
    assert secret not in shown
    assert sum(hidden.values()) >= 1


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens=200, prompt_tokens: 512, 'tokenizer_mode': 'auto', hf_token=None",
        "KV cache size: 240,704 tokens",
        "valueFrom: {secretKeyRef: {name: hf, key: token}}",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "http://10.0.0.9:8000/health: dial tcp 10.0.0.9:8000: connect: connection refused",
        "image: registry.example/llm@sha256:0123456789abcdef0123456789abcdef",
    ],
)
def test_evidence_stays(text):
    assert redact(text)[0] == text


@pytest.mark.parametrize(
    "unit", ["token", "api_key=", "eyJ", "-----BEGIN A PRIVATE KEY-----", "://a:", "name: token "]
)
def test_hostile_text_takes_little_time(unit):
    started = time.process_time()  # which a busy machine does not stretch
    redact(unit * (300_000 // len(unit)))
    assert time.process_time() - started < 15
