"""Which ordinary pipelines compile: a list that only grows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models_store import compiled, pipelines
from tests import estimators

NOT_COMPILED = {
    ("tumours", "KNN distance"),
    ("tumours", "Calibrated(RF,isotonic)"),
    ("tumours", "LDA"),
    ("tumours", "QDA"),
    ("tumours", "Spline+LR"),
    ("tumours", "IterativeImputer+LR"),
    ("tumours", "log1p Function+LR"),
    ("tumours", "PowerTransformer+LR"),
    ("tumours", "CatBoost"),
    ("tumours", "GaussianProcess"),
    ("digits", "KNN5"),
    ("passengers", "ordinal+HistGB categorical"),
    ("passengers", "TargetEncoder+LR"),
    ("passengers", "HistGB from_dtype"),
    ("passengers", "CatBoost cat_features"),
}
"""These are served by scikit-learn."""

ROWS = 1_000


def test_most_pipelines_of_classifiers_compile() -> None:
    """At least 50 of 67."""
    classifiers = [key for key in estimators.ALL if key[0] != "flats"]

    assert 67 == len(classifiers)
    assert {key for key in estimators.ALL if key in NOT_COMPILED} == NOT_COMPILED
    assert len(classifiers) - len(NOT_COMPILED) >= 50


@pytest.mark.parametrize("key", [key for key in estimators.ALL if key not in NOT_COMPILED], ids=": ".join)
@pytest.mark.filterwarnings("ignore")  # estimators on small data warn of many things
def test_it_compiles(key: tuple[str, str]) -> None:
    """It is fitted as a training fits it, and its graph agrees."""
    data, make = estimators.ALL[key]
    spec = replace(data(), pipeline=lambda _: make())
    X, y = spec.load()
    columns, labels = spec.columns_of(X), spec.target.read(y)
    fitted = pipelines.fit(spec, 0, columns, labels, [1.0] * len(labels))

    found = compiled.build(fitted, spec, columns, 0, labels=labels, random_rows=ROWS)
    assert found.onnx is not None, found.reason
