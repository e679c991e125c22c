"""A CPU worker that tries its stage before it reports ready, as the GPU worker does."""

from __future__ import annotations

from vllm.config import CompilationMode
from vllm.v1.worker.cpu_worker import CPUWorker


class RehearsalCpuWorker(CPUWorker):  # type: ignore[misc]
    """CPUWorker with one dummy step where there is nothing to compile."""

    def determine_available_memory(self) -> int:
        """Run the step, then answer as the base class does.

        `CPUWorker` skips it, and then a later pipeline stage has no buffer for the activations it
        receives: the first request dies on `assert self.intermediate_tensors is not None`.
        """
        if self.compilation_config.mode == CompilationMode.NONE:
            self.model_runner.profile_run()
        return int(super().determine_available_memory())
