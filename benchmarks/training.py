"""Runs `train.py` over and over until it is ended: `python -m benchmarks.training`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks import machine
from benchmarks.peers import OWN_ENVIRONMENT, PROJECT
from benchmarks.server import environment


@contextmanager
def beside(home: Path) -> Iterator[None]:
    """Train, save and promote in `home`, on the server's core."""
    _, core = machine.cores()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.training"],
        cwd=PROJECT,
        env=environment(OWN_ENVIRONMENT, home),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=partial(machine.pin, core),
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    while True:
        subprocess.run([sys.executable, "train.py", "iris"], stdout=subprocess.DEVNULL, check=True)
