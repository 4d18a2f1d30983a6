"""Faults in any order on a server under load: `python -m benchmarks.chaos`.

No acknowledged prediction or label may be lost, and nothing may be left behind.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.scoring import CACHE, prepare
from tests.chaos import FAULTS, Clock, Fault, Site, strike


def main(arguments: list[str]) -> int:
    """Let faults strike for some minutes, and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None, help="repeats the faults of an earlier run")
    options = parser.parse_args(arguments)
    seed = random.randrange(10_000) if options.seed is None else options.seed
    print(f"faults under load for {options.minutes:g} minutes, --seed {seed}", flush=True)
    random.seed(seed)
    prepare()
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        home = Path(shutil.copytree(CACHE / "trained", folder / "home", symlinks=True))
        site = Site(home, f"sqlite:///{home / 'journal.db'}", Clock(folder))
        try:
            load = strike(site, faults(options.minutes), lambda line: print(line, flush=True))
        finally:
            site.end()
    print(
        f"{len(load.predicted):,} predictions and {len(load.labelled):,} labels were acknowledged: none is"
        " lost, the ledger is whole, and no process or draft is left"
    )
    return 0


def faults(minutes: float) -> Iterator[Fault]:
    """Yield all faults in another order each time."""
    until = time.monotonic() + 60 * minutes
    while time.monotonic() < until:
        yield from random.sample(FAULTS, len(FAULTS))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
