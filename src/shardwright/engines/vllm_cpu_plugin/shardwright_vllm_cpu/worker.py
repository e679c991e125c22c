"""A CPU worker that tries its stage before it reports ready, as the GPU worker does."""

from vllm.config import CompilationMode
from vllm.v1.worker.cpu_worker import CPUWorker


class RehearsalCpuWorker(CPUWorker):
    def determine_available_memory(self):
        """Run one dummy step when there is nothing to compile.

        `CPUWorker` skips it, and then a later pipeline stage has no buffer for the activations it
        receives: the first request dies on `assert self.intermediate_tensors is not None`.
        """
        if self.compilation_config.mode == CompilationMode.NONE:
            self.model_runner.profile_run()
        return super().determine_available_memory()
