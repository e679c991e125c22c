"""Jobs that run before serving: here the download of the weights into the claim."""

from __future__ import annotations

import hashlib

from shardwright.model.launch import Budgets, Claim, Mount, SecretRef, Task, TaskKind, VolumeKind
from shardwright.model.process import EnvVar
from shardwright.model.request import Request
from shardwright.model.text import SecretValue, text

DONE_MARKER = ".shardwright-complete"


def claim_name(request: Request) -> str:
    """Name of the claim that holds the weights."""
    return request.storage.claim or f"{request.name}-models"


def download_task(
    request: Request, image: str, claim: Claim, budgets: Budgets, weights_path: str
) -> Task:
    """Download the model once. The same model and revision is the same key: no second download."""
    model = request.model
    key = hashlib.sha256(f"{model.id}@{model.revision or 'main'}".encode()).hexdigest()[:12]
    argv = ["hf", "download", model.id, "--local-dir", weights_path]
    if model.revision:
        argv += ["--revision", model.revision]
    return Task(
        kind=TaskKind.DOWNLOAD,
        name=f"{request.name}-download",
        key=key,
        image=image,
        argv=tuple(text(a) for a in argv),
        env=_env(request),
        mounts=(Mount(volume="models", kind=VolumeKind.CLAIM, path="/models", source=claim.name),),
        outputs=(weights_path,),
        done_marker=f"{weights_path}/{DONE_MARKER}",
        deadline_s=budgets.download_s,
    )


def hub_secrets(request: Request) -> tuple[SecretRef, ...]:
    """The hub token, if the model needs one."""
    name = request.access.hf_token_secret
    return (SecretRef(name=name, keys=("token",)),) if name else ()


def _env(request: Request) -> tuple[EnvVar, ...]:
    network, env = request.network, []
    if request.access.hf_token_secret:
        token = SecretValue(request.access.hf_token_secret, "token")
        env.append(EnvVar(name="HF_TOKEN", value=text(token)))
    if network.hf_endpoint:
        env.append(EnvVar(name="HF_ENDPOINT", value=text(network.hf_endpoint)))
    if network.proxy:
        env.append(EnvVar(name="HTTPS_PROXY", value=text(network.proxy)))
        env.append(EnvVar(name="NO_PROXY", value=text(",".join(network.no_proxy))))
    return tuple(env)
