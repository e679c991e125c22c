"""Jobs that run before serving: here the download of the weights into the claim."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from shardwright.model.launch import Budgets, SecretRef, Task, TaskKind
from shardwright.model.process import EnvVar
from shardwright.model.request import Request
from shardwright.model.text import SecretValue, text
from shardwright.model.volumes import Claim, ConfigFiles, Mount, VolumeKind

DONE_MARKER = ".shardwright-complete"
SCRIPT_FOLDER = "/etc/shardwright-download"
CA_FOLDER = "/etc/shardwright-ca"
S3_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def claim_name(request: Request) -> str:
    """Name of the claim that holds the weights."""
    return request.storage.claim or f"{request.name}-models"


def download_task(
    request: Request, image: str, claim: Claim, budgets: Budgets, weights_path: str
) -> Task:
    """Download the model once. The same model and revision is the same key: no second download."""
    model = request.model
    origin = model.source or f"{model.id}@{model.revision or 'main'}"
    key = hashlib.sha256(origin.encode()).hexdigest()[:12]
    argv = ["python3", f"{SCRIPT_FOLDER}/download.py", model.source or model.id]
    argv += ["--local-dir", weights_path]
    if model.revision and not model.source:
        argv += ["--revision", model.revision]
    return Task(
        kind=TaskKind.DOWNLOAD,
        name=f"{request.name}-download",
        key=key,
        image=image,
        argv=tuple(text(a) for a in argv),
        env=_env(request),
        mounts=_mounts(request, claim),
        outputs=(weights_path,),
        done_marker=f"{weights_path}/{DONE_MARKER}",
        deadline_s=budgets.download_s,
    )


def needs_download(request: Request) -> bool:
    """Whether the weights must be fetched: not if they come as an image, or the user names where
    they are in a claim.
    """
    return not (request.storage.image or (request.storage.claim and request.model.path))


def download_script(request: Request) -> ConfigFiles:
    """Carry the program that downloads and checks."""
    return ConfigFiles(name=f"{request.name}-download", files=(("download.py", _program()),))


def _mounts(request: Request, claim: Claim) -> tuple[Mount, ...]:
    mounts = [
        Mount(volume="models", kind=VolumeKind.CLAIM, path="/models", source=claim.name),
        Mount(
            volume="script",
            kind=VolumeKind.CONFIG,
            path=SCRIPT_FOLDER,
            source=download_script(request).name,
            is_read_only=True,
        ),
    ]
    if request.network.ca_bundle:
        mounts.append(
            Mount(
                volume="ca",
                kind=VolumeKind.CONFIG,
                path=CA_FOLDER,
                source=request.network.ca_bundle,
                is_read_only=True,
            )
        )
    return tuple(mounts)


def download_secrets(request: Request) -> tuple[SecretRef, ...]:
    """What lets the download in: the hub's token, or the keys of a bucket."""
    wanted = ((request.access.hf_token_secret, ("token",)), (request.access.s3_secret, S3_KEYS))
    return tuple(SecretRef(name=name, keys=keys) for name, keys in wanted if name)


def _env(request: Request) -> tuple[EnvVar, ...]:
    network, env = request.network, []
    if request.access.hf_token_secret:
        token = SecretValue(request.access.hf_token_secret, "token")
        env.append(EnvVar(name="HF_TOKEN", value=text(token)))
    if network.hf_endpoint:
        env.append(EnvVar(name="HF_ENDPOINT", value=text(network.hf_endpoint)))
    if request.access.s3_secret:
        env += [
            EnvVar(name=k, value=text(SecretValue(request.access.s3_secret, k))) for k in S3_KEYS
        ]
    if request.model.source:
        told = (("AWS_ENDPOINT_URL_S3", network.s3_endpoint), ("AWS_REGION", network.s3_region))
        env += [EnvVar(name=name, value=text(value)) for name, value in told if value]
    if network.proxy:
        env.append(EnvVar(name="HTTPS_PROXY", value=text(network.proxy)))
        env.append(EnvVar(name="NO_PROXY", value=text(",".join(network.no_proxy))))
    if network.ca_bundle:
        certificate = text(f"{CA_FOLDER}/ca.crt")
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")
        env += [
            EnvVar(name=n, value=certificate) for n in names[: 3 if request.model.source else 2]
        ]
    return tuple(env)


@cache
def _program() -> str:
    return files("shardwright.launch.pods").joinpath("download.py").read_text(encoding="utf-8")
