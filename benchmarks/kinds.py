"""Ten thousand odd bodies for a model of each kind of feature, no 5xx: `python -m benchmarks.kinds`.

`tests/test_kinds.py` sends some hundred of them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from pathlib import Path

from tests import odd_bodies
from tests.servers import PROJECT, Server, train


def main(arguments: list[str]) -> int:
    """Train the models, serve them, send the bodies, and print how many got which status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kinds", description=__doc__)
    parser.add_argument("--bodies", type=int, default=10_000, help="for each model; default: 10000")
    bodies = parser.parse_args(arguments).bodies
    with tempfile.TemporaryDirectory() as folder:
        home, zoo = Path(folder) / "home", Path(folder) / "zoo"
        shutil.copytree(PROJECT / "tests" / "zoo", zoo, ignore=shutil.ignore_patterns("__*"))
        home.mkdir()
        train(home, zoo)
        with Server(home, workers=1, catalog=zoo) as server:
            for name in sorted(path.stem for path in zoo.glob("*.py")):
                spec = import_module(f"tests.zoo.{name}").SPEC
                started = time.monotonic()
                requests = [(f"/{name}/{route}", body) for route, body in odd_bodies.draw(spec, bodies)]
                found = Counter(odd_bodies.statuses(server.port, requests))
                print(
                    f"{name}: {dict(sorted(found.items()))} in {time.monotonic() - started:.1f} s",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
