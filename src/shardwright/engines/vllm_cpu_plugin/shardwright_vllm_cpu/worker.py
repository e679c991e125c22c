"""A CPU worker that tries its stage before it reports ready, and says which layers it holds."""

from __future__ import annotations

from vllm.config import CompilationMode
from vllm.logger import init_logger
from vllm.v1.worker.cpu_worker import CPUWorker

# below `vllm`, whose handler alone writes INFO lines
logger = init_logger("vllm.plugins.shardwright_cpu")

DUMMY_TOKENS = 16
"""The buffers are made for the longest batch whatever the step's length; a full batch of thousands
of tokens only costs time on shared cores."""


class RehearsalCpuWorker(CPUWorker):  # type: ignore[misc]
    """CPUWorker with one dummy step where there is nothing to compile."""

    def determine_available_memory(self) -> int:
        """Run the step, a short one, then answer as the base class does.

        `CPUWorker` skips it, and then a later pipeline stage has no buffer for the activations it
        receives: the first request dies on `assert self.intermediate_tensors is not None`.
        """
        self._say_layers()
        if self.compilation_config.mode == CompilationMode.NONE:
            self.model_runner._dummy_run(DUMMY_TOKENS, is_profile=True)
        return int(super().determine_available_memory())

    def _say_layers(self) -> None:
        """Log the layers that the loaded model holds, which vLLM itself never says."""
        for module in self.model_runner.get_model().modules():
            first, end = getattr(module, "start_layer", None), getattr(module, "end_layer", None)
            if isinstance(first, int) and isinstance(end, int):
                logger.info("rank %d holds layers %d-%d", self.rank, first, end - 1)
                return
