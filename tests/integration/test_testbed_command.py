"""The test bed's command line, where it needs no bed."""

from __future__ import annotations

import os
import subprocess
import sys


def test_a_reader_that_goes_away_leaves_no_traceback() -> None:
    """As in `python -m testbed status | head`."""
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "testbed", "kubeconfig"]
    try:
        done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, check=False, timeout=60)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
