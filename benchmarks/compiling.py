"""Time and memory of trainings with many columns, trees or rows: `python -m benchmarks.compiling`.

Each case runs in a process of its own, on one thread; seconds are of the processor, because a machine may
be busy. `python -m benchmarks.compiling wide` runs one case.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from models_store.spec import Features, Spec, classes, number
from prediction.retraining import training


@dataclass(frozen=True)
class Case:
    """A dataset, an estimator, and the limits."""

    rows: int
    columns: int
    pipeline: Callable[[int], Any]
    seconds: int
    megabytes: int


def linear(seed: int) -> Any:
    """A linear model behind a scaler."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(random_state=seed))


def forest(seed: int) -> Any:
    """Five hundred trees."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(500, random_state=seed)


CASES = {
    "wide": Case(2_000, 500, linear, 15, 1_500),
    "forest": Case(20_000, 20, forest, 60, 1_500),
    "long": Case(1_000_000, 20, linear, 30, 1_200),
}


def spec(case: Case) -> Spec:
    """Describe a case: normal numbers, of which five tell the classes apart, with noise."""
    names = [f"x{position}" for position in range(case.columns)]
    made: dict[str, Any] = {
        name: number("A number", unit="", low=-20, high=20, example=0) for name in names
    }
    annotations = dict.fromkeys(names, float)
    features = type("Made", (Features,), {"__annotations__": annotations, "__module__": __name__, **made})

    def load() -> tuple[Any, Any]:
        import numpy as np
        import pandas as pd

        rng = np.random.default_rng(0)
        X = rng.normal(size=(case.rows, case.columns)).clip(-20, 20)
        is_high = X[:, :5].sum(axis=1) + rng.normal(size=case.rows) > 0
        return pd.DataFrame(X, columns=names), pd.Series(np.where(is_high, "high", "low"))

    return Spec("made", "Made", features, classes("high", "low"), load, case.pipeline)


def measure(name: str) -> None:
    """Train one case, and print its steps and its totals."""
    case, steps = CASES[name], [("begin", time.process_time())]
    found = training.train(spec(case), 0, lambda step: steps.append((step, time.process_time())))
    steps.append(("end", time.process_time()))
    for (step, at), (_, until) in pairwise(steps):
        print(f"  {until - at:7.1f} s  {step}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    total = steps[-1][1] - steps[0][1]
    print(
        f"{name}: {total:.1f} s of {case.seconds}, {peak} MB of {case.megabytes}: {found.compiled.reason}"
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(sys.argv[1])
    else:
        for case_name in CASES:
            subprocess.run([sys.executable, "-m", "benchmarks.compiling", case_name], check=True)
