"""How a model is cut over GPUs: the degrees of parallelism and the layers of each stage."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Degrees of parallelism; every one is a count of at least 1.

    expert_parallel is the number of ranks the routed experts are spread over (1: experts are cut by
    tensor parallelism like everything else). replicas are whole, independent copies behind one
    Service; data_parallel are engine-level copies that share experts and one scheduler group.
    """

    tensor_parallel: int
    pipeline_parallel: int = 1
    data_parallel: int = 1
    expert_parallel: int = 1
    replicas: int = 1

    @property
    def gpus_per_replica(self) -> int:
        """GPUs that one replica occupies.

        >>> Layout(tensor_parallel=8, pipeline_parallel=2).gpus_per_replica
        16
        """
        return self.tensor_parallel * self.pipeline_parallel * self.data_parallel

    @property
    def num_gpus(self) -> int:
        """GPUs of all replicas together."""
        return self.gpus_per_replica * self.replicas

    def __str__(self) -> str:
        """Write the layout as engineers say it, leaving out what is 1.

        >>> str(Layout(tensor_parallel=8, pipeline_parallel=2))
        'TP=8 PP=2'
        """
        parts = [f"TP={self.tensor_parallel}", f"PP={self.pipeline_parallel}"]
        if self.data_parallel > 1:
            parts.append(f"DP={self.data_parallel}")
        if self.expert_parallel > 1:
            parts.append(f"EP={self.expert_parallel}")
        if self.replicas > 1:
            parts.append(f"x {self.replicas} replicas")
        return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One pipeline stage: a contiguous run of hidden layers, counted from 0."""

    index: int
    first_layer: int
    num_layers: int

    @property
    def last_layer(self) -> int:
        """Index of the last layer of the stage, inclusive."""
        return self.first_layer + self.num_layers - 1

    def __str__(self) -> str:
        """Name the stage and its layers.

        >>> str(Stage(index=1, first_layer=63, num_layers=63))
        'stage 1: layers 63-125'
        """
        return f"stage {self.index}: layers {self.first_layer}-{self.last_layer}"


def stages_of(layers_per_stage: tuple[int, ...]) -> tuple[Stage, ...]:
    """Lay stages end to end.

    >>> [s.first_layer for s in stages_of((31, 32, 32, 31))]
    [0, 31, 63, 95]
    """
    firsts = [sum(layers_per_stage[:i]) for i in range(len(layers_per_stage))]
    return tuple(
        Stage(index=i, first_layer=first, num_layers=num)
        for i, (first, num) in enumerate(zip(firsts, layers_per_stage, strict=True))
    )
