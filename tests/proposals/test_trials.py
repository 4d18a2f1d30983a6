"""Cross-validation of estimators, and the choice: simple, not worse, and compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from models_store.spec import Spec
from prediction.proposals import trials
from prediction.proposals.estimators import Estimator
from prediction.retraining import datasets

LINEAR = Estimator("linear", "linear_model", "LogisticRegression()")
DUMMY = Estimator("dummy", "dummy", "DummyClassifier()")


def test_the_simplest_that_is_not_worse_is_chosen(specs: dict[str, Spec]) -> None:
    """The table has all of them; every step is told."""
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_info

    threads = set[int]()

    def dummy(seed: int) -> Any:
        threads.update(pool["num_threads"] for pool in threadpool_info())
        return DummyClassifier(random_state=seed)

    dataset, told = datasets.load(specs["iris"]), list[str]()
    functions: list[Any] = [
        (DUMMY, dummy),
        (LINEAR, lambda seed: LogisticRegression(max_iter=1000, random_state=seed)),
        (
            Estimator("again", "", ""),
            lambda seed: LogisticRegression(max_iter=1000, C=0.9, random_state=seed),
        ),
    ]

    chosen = trials.choose(specs["iris"], dataset.columns, dataset.labels, functions, told.append)

    assert LINEAR == chosen.choice
    assert "Chosen by cross-validation on 150 rows in 5 folds: linear" in chosen.words
    assert ["estimator", "dummy", "linear", "again"] == [
        line.split()[0] for line in chosen.table.splitlines() if not line.startswith("-")
    ]
    assert {1} == threads  # more of them spin, and take ten times as long on a busy machine
    assert ["compile linear"] == [each for each in told if each.startswith("compile")]


def test_a_sample_is_small_and_always_the_same() -> None:
    """The wider the table, the fewer rows, but some in any case."""
    rows = trials.sample(100_000, 20)

    assert 5_000 == len(set(rows.tolist()))
    assert np.array_equal(rows, trials.sample(100_000, 20))
    assert (500, 30) == (len(trials.sample(100_000, 5_000)), len(trials.sample(30, 3)))
