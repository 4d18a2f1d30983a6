"""Batch inference beside pandas and scikit-learn: `python -m benchmarks.scoring`.

Both read the same Parquet file and write one with the same columns: the features, the class, the
probabilities, model and version. Each run is a process of its own and in turns; the time is that of
the whole work without imports, the memory that of the whole process at its peak.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from models_store import catalog, store
from prediction import batch

PROJECT = Path(__file__).parent.parent
CACHE = PROJECT / ".cache" / "benchmarks"
ROWS = {"iris": 2_000_000, "penguins": 1_000_000}
LONG_ROWS = 20_000_000
TARGETS = {"iris": 1.0, "penguins": 5.0}


def make_rows(model: str, rows: int) -> Path:
    """Write a file of the dataset's own rows, drawn at random; a million at a time."""
    import numpy as np
    import pyarrow
    from pyarrow import parquet

    path = CACHE / f"{model}-{rows}.parquet"
    if path.exists():
        return path
    (spec,) = catalog.select([model])
    X, _ = spec.load()
    rng = np.random.default_rng(0)
    draft = path.with_suffix(".draft")
    schema = pyarrow.Schema.from_pandas(X, preserve_index=False)
    with parquet.ParquetWriter(draft, schema) as writer:
        for start in range(0, rows, 1_000_000):
            some = X.iloc[rng.integers(0, len(X), min(1_000_000, rows - start))]
            writer.write_table(pyarrow.Table.from_pandas(some, schema, preserve_index=False))
    draft.rename(path)
    return path


def ours(model: str, source: Path, target: Path) -> float:
    """Score with this project; return seconds."""
    started = time.perf_counter()
    batch.score(model, source, target)
    return time.perf_counter() - started


def pandas(model: str, source: Path, target: Path) -> float:
    """Score with pandas and the scikit-learn pipeline, as a notebook would; return seconds."""
    import bentoml
    import pandas as pd

    from benchmarks.apps.notebook import answer

    tag = bentoml.models.get(f"{model}:latest").tag
    pipeline = bentoml.sklearn.load_model(tag)
    started = time.perf_counter()
    frame = answer(pipeline, pd.read_parquet(source), model, tag.version)
    frame.to_parquet(target)
    return time.perf_counter() - started


def peak_mib(process: int | str = "self") -> float:
    """Return the most memory that a process ever held; `getrusage` would tell its parent's."""
    try:
        found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{process}/status").read_text())
    except OSError:  # it has ended
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


def measure(peer: str, model: str, source: Path) -> dict[str, float]:
    """Run one peer in a process of its own."""
    home = CACHE / "trained"
    command = [sys.executable, "-m", "benchmarks.scoring", "--run", peer, model, str(source)]
    own = os.environ | {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    done = subprocess.run(command, cwd=PROJECT, env=own, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main(arguments: list[str]) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scoring", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.run:
        peer, model, source = options.run
        target = CACHE / "scored.parquet"
        seconds = {"ours": ours, "pandas": pandas}[peer](model, Path(source), target)
        print(json.dumps({"seconds": seconds, "peak_mib": peak_mib()}))
        return 0
    prepare()
    for model, rows in ROWS.items():
        print(row(model, rows, [rounds(model, rows) for _ in range(options.rounds)]), flush=True)
    for rows in (1_000_000, LONG_ROWS):
        found = measure("ours", "iris", make_rows("iris", rows))
        rate = rows / found["seconds"]
        print(f"iris, {rows:,} rows: {rate:,.0f} rows/s, peak {found['peak_mib']:.0f} MiB", flush=True)
    return 0


def prepare() -> Path:
    """Train what no benchmark has trained yet; return the home."""
    home = CACHE / "trained"
    for model in catalog.load():
        if not store.versions(home, model):
            own = os.environ | {"BENTOML_HOME": str(home)}
            command = [sys.executable, "train.py", model]
            subprocess.run(command, cwd=PROJECT, env=own, check=True, stdout=subprocess.DEVNULL)
    return home


def rounds(model: str, rows: int) -> dict[str, Any]:
    """Let both peers score, in turns."""
    source = make_rows(model, rows)
    return {peer: measure(peer, model, source) for peer in ("pandas", "ours")}


def row(model: str, rows: int, found: list[dict[str, Any]]) -> str:
    """Tell a model's figures in a line."""
    ratios = [each["pandas"]["seconds"] / each["ours"]["seconds"] for each in found]
    ratio = statistics.median(ratios)
    told = [
        f"{peer} {rows / statistics.median(each[peer]['seconds'] for each in found):,.0f} rows/s,"
        f" peak {statistics.median(each[peer]['peak_mib'] for each in found):.0f} MiB"
        for peer in ("ours", "pandas")
    ]
    verdict = "met" if ratio >= TARGETS[model] else "missed"
    return (
        f"{model}, {rows:,} rows: {told[0]}; {told[1]}; ours / pandas {ratio:.2f}"
        f" ({min(ratios):.2f} to {max(ratios):.2f}), target {TARGETS[model]:g}: {verdict}"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
