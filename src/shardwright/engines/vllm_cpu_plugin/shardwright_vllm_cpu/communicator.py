"""A CPU communicator that uses shared memory only between ranks that really share it."""

from __future__ import annotations

from vllm.distributed.device_communicators.cpu_communicator import CpuCommunicator
from vllm.distributed.parallel_state import in_the_same_node_as


class HostAwareCpuCommunicator(CpuCommunicator):  # type: ignore[misc]
    """CpuCommunicator that falls back to torch.distributed for a group that spans hosts."""

    def _all_group_ranks_share_shm_group_name(self) -> bool:
        """Whether every rank of the group can open one segment of the first rank's /dev/shm.

        The base class compares names only, and names agree across hosts too.
        """
        same_name = super()._all_group_ranks_share_shm_group_name()
        return all(in_the_same_node_as(self.cpu_group, source_rank=0)) and bool(same_name)
