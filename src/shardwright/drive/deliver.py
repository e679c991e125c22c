"""Writes the small model where members look for it: the program of a job in the cluster.

`python -m shardwright.drive.deliver DIRECTORY`, with config.json in SHARDWRIGHT_SMALL_CONFIG. Runs
in the rehearsal image, with the engine's own Python.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from shardwright.drive.checkpoint import write_checkpoint
from shardwright.rehearse.on_cluster import SMALL_CONFIG
from shardwright.rehearse.shrink import SmallModel
from shardwright.shape import read_config


def main() -> None:
    """Write the checkpoint and say how large it is."""
    config = json.loads(os.environ[SMALL_CONFIG])
    model = SmallModel(config=config, shape=read_config(config), layers=(), narrowed=())
    num_bytes = write_checkpoint(model, Path(sys.argv[1]))
    sys.stdout.write(f"wrote {num_bytes} bytes to {sys.argv[1]}\n")


if __name__ == "__main__":
    main()
