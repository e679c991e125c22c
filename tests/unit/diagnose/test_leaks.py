"""Secrets in every dress we could think of: none may survive."""

import base64

import pytest

from shardwright.diagnose.redaction import redact

SECRET = "s3cretValue9876XYZabc"
CODED = base64.b64encode(SECRET.encode()).decode()
HUB = "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYz012345"
NVIDIA = "nvapi-" + "AbCdEfGhIjKlMnOpQrStUvWxYz"
GOOGLE = "AIza" + "SyA1234567890abcdefghijklmnopqrstuv"
SLACK = "xoxb-" + "123456789012-abcdefghijkl"

LEAKS = {
    "env yaml": f"- name: OPENAI_KEY\n  value: {SECRET}\n",
    "env yaml token": f'        - name: HF_TOKEN\n          value: "{SECRET}"\n',
    "env json": f'{{"name": "HF_TOKEN", "value": "{SECRET}"}}',
    "env json value first": f'{{"value": "{SECRET}", "name": "HF_TOKEN"}}',
    "export": f"export HF_TOKEN={SECRET}",
    "AWS_SECRET_ACCESS_KEY": f"AWS_SECRET_ACCESS_KEY={SECRET}",
    "AWS_SESSION_TOKEN": f"AWS_SESSION_TOKEN={SECRET}",
    "aws creds": f"aws_secret_access_key = {SECRET}",
    "describe env": f"      HF_TOKEN:                 {SECRET}\n",
    "describe env key": f"      VLLM_API_KEY:   {SECRET}\n",
    "Namespace dump": f"Namespace(host=None, api_key='{SECRET}', port=8000)",
    "Namespace list": f"Namespace(api_key=['{SECRET}'], port=1)",
    "dict dump": f"non-default args: {{'api_key': ['{SECRET}'], 'model': 'm'}}",
    "hf_token dict": f"{{'hf_token': '{SECRET}'}}",
    "flag eq": f"--api-key={SECRET}",
    "flag sp": f"--api-key {SECRET}",
    "flag list": f'["--api-key", "{SECRET}"]',
    "flag yaml list": f"- --api-key\n- {SECRET}\n",
    "auth hdr": f"Authorization: Bearer {SECRET}",
    "auth basic": f"Authorization: Basic {CODED}",
    "auth json": f'"authorization": "Bearer {SECRET}"',
    "auth token scheme": f"Authorization: token {SECRET}",
    "x-api-key": f"x-api-key: {SECRET}",
    "curl -u": f"curl -u admin:{SECRET} https://x",
    "url": f"https://user:{SECRET}@host/x",
    "url tok": f"https://{SECRET}@github.com/x",
    "url query": f"GET /x?token={SECRET}&a=1",
    "url query key": f"https://a/x?api_key={SECRET}",
    "sig": f"https://b.s3.amazonaws.com/k?X-Amz-Signature={SECRET}{SECRET}&X-Amz-Credential=AKIA"
    "ABCDEFGHIJKLMNOP",
    "sas": f"https://a.blob.core.windows.net/c?sv=2020&sig={SECRET}%3D",
    "redis": f"redis://:{SECRET}@h:6379",
    "redis pw": f"--redis-password={SECRET}",
    "pg": f"postgresql://u:{SECRET}@h/db",
    "dsn": f"password={SECRET} host=h",
    "pem": f"-----BEGIN RSA PRIVATE KEY-----\n{CODED}{CODED}\n{CODED}\n-----END RSA PRIVATE KEY-----",  # noqa: E501
    "pem cut": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CODED}{CODED}\n",
    "pem ec json": f'"key": "-----BEGIN EC PRIVATE KEY-----\\n{CODED}\\n-----END EC PRIVATE KEY-----"',  # noqa: E501
    "secret yaml": f"apiVersion: v1\nkind: Secret\ndata:\n  token: {CODED}\n",
    "secret json": f'{{"kind": "Secret", "data": {{"x": "{CODED}"}}}}',
    "secret stringData": f"kind: Secret\nstringData:\n  anything: {SECRET}\n",
    "secret short": "kind: Secret\ndata:\n  pin: MTIzNA==\n",
    "secret pretty json": f'{{\n "data": {{\n  "foo": "{CODED}"\n }},\n "kind": "Secret"\n}}',
    "dockercfg": f'{{"auths": {{"r.io": {{"auth": "{CODED}"}}}}}}',
    "dockerconfigjson": f".dockerconfigjson: {CODED}",
    "hf": HUB,
    "hf url": f"https://x:{HUB}@huggingface.co/m",
    "nvapi": NVIDIA,
    "ngc": f"NGC_API_KEY: {SECRET}",
    "wandb": f"WANDB_API_KEY={SECRET}",
    "gcp": f'"private_key_id": "{SECRET}"',
    "google key": GOOGLE,
    "azure": f"AccountKey={CODED}==;",
    "slack": SLACK,
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF123",
    "kube token": f"    token: {SECRET}",
    "client-key-data": f"    client-key-data: {CODED}{CODED}",
    "cookie": f"Set-Cookie: session={SECRET}; Path=/",
    "cookie2": f"Cookie: sid={SECRET}",
    "passwd upper": f"DB_PASSWORD: {SECRET}",
    "PGPASSWORD": f"PGPASSWORD={SECRET}",
    "pass": f"SMTP_PASS={SECRET}",
    "credential": f"credentials: {SECRET}",
    "ray token": f"RAY_AUTH_TOKEN={SECRET}",
    "last-applied": f'"kubectl.kubernetes.io/last-applied-configuration": "{{\\"name\\":\\"HF_TOKEN\\",\\"value\\":\\"{SECRET}\\"}}"',  # noqa: E501
}

HIDE = (SECRET, CODED, HUB, NVIDIA, GOOGLE, SLACK, "eyJzdWI", "MTIzNA", "AKIAABC")


@pytest.mark.parametrize("text", LEAKS.values(), ids=LEAKS.keys())
def test_nothing_leaks(text):
    shown, hidden = redact(text)
    assert [secret for secret in HIDE if secret in shown] == []
    assert sum(hidden.values()) >= 1


@pytest.mark.parametrize(
    "text",
    [
        "prompt_tokens: 812, max_tokens=100 --max-num-batched-tokens 8192 token usage: 0.97",
        "topologyKey: a/b\n- secretName: hf\n  secretKeyRef: {name: hf, key: token}",
        "      HF_TOKEN:   <set to the key 'token' in secret 'hf'>  Optional: false",
        "ValueError: Can't load tokenizer for '/models/x'; KeyError: 'rope_type'",
        'Error: secret "hf-token-secret" not found',
        "image: registry.example.com/a@sha256:0123456789abcdef",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text)[0] == text
