"""Beside a number a flag that may be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models_store.spec import Features, Spec, classes, flag, number

if TYPE_CHECKING:
    import pandas as pd


class FlagFeatures(Features):
    """A flag that may be missing."""

    is_new: bool | None = flag("New customer", example=True, optional=True)
    age: float = number("Age", unit="a", low=0, high=120, example=40)


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return 200 rows; the label follows from the feature, with noise."""
    import numpy as np
    import pandas as pd

    rng, rows = np.random.default_rng(0), 200
    values = pd.array(rng.random(rows) < 0.5, "boolean")
    is_high = values.to_numpy(bool)
    values[:20] = pd.NA
    X = pd.DataFrame({"is_new": values, "age": rng.uniform(18, 90, rows).round(1)})
    return X, pd.Series(np.where(is_high ^ (rng.random(rows) < 0.1), "high", "low"))


def pipeline(seed: int) -> Any:
    """Impute, then logistic regression."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    return make_pipeline(SimpleImputer(strategy="most_frequent"), LogisticRegression(random_state=seed))


SPEC = Spec(
    name="flags",
    title="A model with a flag that may be missing",
    features=FlagFeatures,
    target=classes("high", "low"),
    load=load,
    pipeline=pipeline,
)
