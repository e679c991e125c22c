"""What a rehearsal puts in the place of the real thing, and how it tells each touch."""

from __future__ import annotations

from dataclasses import dataclass

from shardwright.model.process import EnvVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One touch. path: where in the plan; not_proved: what the rehearsal therefore cannot show."""

    path: str
    old: str
    new: str
    why: str
    not_proved: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """What a rehearsal puts in the place of the real thing. None keeps what the plan has.

    layers: hidden layers of each stage of the small model; its length is the pipeline width.
    model_path: directory of the small model. env: the CPU engine's environment, set on every
    process. interface: the network device that carries the members' addresses here.
    """

    tensor_parallel: int
    layers: tuple[int, ...]
    model_path: str
    max_model_len: int
    env: tuple[EnvVar, ...] = ()
    image: str | None = None
    interface: str | None = None
    cpu_millis: int | None = None
    memory_bytes: int | None = None
    shm_bytes: int | None = None
    access_mode: str | None = None

    @property
    def pipeline_parallel(self) -> int:
        """Number of stages."""
        return len(self.layers)

    @property
    def num_ranks(self) -> int:
        """Ranks of the group."""
        return self.tensor_parallel * self.pipeline_parallel
