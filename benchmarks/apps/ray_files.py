"""Ray Data with the scikit-learn pipeline: read, score, write. Arguments: pipeline, input, output, model.

It prints the seconds without the start of Ray. A function, and not an actor: Ray then reads, scores and
writes in one task, and each of its two cores works on one.
"""
# mypy: disable-error-code="import-not-found, unused-ignore"

import json
import sys
import time
from typing import Any

import ray

from benchmarks.apps.notebook import load_and_answer


def main(pipeline: str, source: str, target: str, model: str) -> None:
    """Score a folder."""
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    started = time.perf_counter()
    chosen: dict[str, Any] = {"batch_size": 250_000, "batch_format": "pandas"}
    rows = ray.data.read_parquet(source)
    scored = rows.map_batches(load_and_answer, fn_kwargs={"pipeline": pipeline, "model": model}, **chosen)
    scored.write_parquet(target)
    print(json.dumps({"seconds": time.perf_counter() - started}))
    ray.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
