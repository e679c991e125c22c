"""The CPU engine of a rehearsal, kept up until stdin ends: a real endpoint for load tools.

    python tests/integration/real_engine.py examples/llama-3.1-405b.yaml --ranks 2x2

Prints one line of JSON once it serves: url, model and the directory of its tokenizer.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "llama-3.1-405b.yaml"


@contextmanager
def real_engine(spec=EXAMPLE, *options):
    """Start it in a process of its own; yield what it prints; end it."""
    command = [sys.executable, __file__, spec, *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        line = process.stdout.readline()
        if not line:
            message = "the engine did not start; what it said is above"
            raise RuntimeError(message)
        try:
            yield json.loads(line)
        finally:
            process.stdin.close()
            process.wait(timeout=300)


def main():
    """Rehearse without a comparison, and let the load be whatever comes before stdin ends."""
    from shardwright.cli.progress import Progress
    from shardwright.cli.rehearse import perform
    from shardwright.cli.resolve import resolve
    from shardwright.cli.staging import stage

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("spec", type=Path)
    parser.add_argument("--ranks", help="tensor x pipeline; by default as the rehearsal chooses")
    asked = parser.parse_args()
    ranks = tuple(map(int, asked.ranks.split("x"))) if asked.ranks else None
    progress = Progress()
    scene = stage(resolve(asked.spec), asked.spec.parent, ranks, "processes", progress)

    def load(url, model, key, phases):
        del key, phases
        told = {"url": url, "model": model, "tokenizer": str(scene.model_path)}
        print(json.dumps(told), flush=True)
        sys.stdin.read()
        return ()

    with tempfile.TemporaryDirectory(prefix="swe") as folder:
        perform(scene, Path(folder), progress, (600, False, False), load)


if __name__ == "__main__":
    main()
