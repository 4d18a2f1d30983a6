"""A fitted estimator takes its columns by other names, and answers as before."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models_store.catalog import iris
from models_store.imported import renaming

OLD = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
NAMES = dict(zip(OLD, iris.SPEC.inputs, strict=True))


@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(3, random_state=0),
        make_pipeline(
            ColumnTransformer(
                [("lengths", StandardScaler(), [OLD[0], OLD[2]]), ("one", "passthrough", OLD[1:2])],
                remainder="drop",
            ),
            LogisticRegression(),
        ),
        make_pipeline(
            ColumnTransformer([("by place", StandardScaler(), [0, 1])], remainder="passthrough"),
            LogisticRegression(max_iter=500),
        ),
    ],
    ids=["alone", "columns by name", "columns by place"],
)
def test_the_answers_stay(estimator: Any) -> None:
    """Also of steps that choose columns."""
    X, y = iris.load()
    model = estimator.fit(X.set_axis(OLD, axis=1), y)
    before = model.predict_proba(X.set_axis(OLD, axis=1)).tolist()
    renaming.rename(model, NAMES)

    assert before == model.predict_proba(X).tolist()
    assert list(X.columns) == list(model.feature_names_in_)
