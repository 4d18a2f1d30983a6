"""One feature: whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models_store.spec import Features, Spec, classes, integer

if TYPE_CHECKING:
    import pandas as pd


class CountFeatures(Features):
    """Whole numbers."""

    visits: int = integer("Visits", unit="", low=0, high=1_000, example=12)


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return 200 rows; the label follows from the feature, with noise."""
    import numpy as np
    import pandas as pd

    rng, rows = np.random.default_rng(0), 200
    values = rng.poisson(20, rows)
    is_high = values > 20
    X = pd.DataFrame({"visits": values})
    return X, pd.Series(np.where(is_high ^ (rng.random(rows) < 0.1), "high", "low"))


def pipeline(seed: int) -> Any:
    """Scale, then logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(random_state=seed))


SPEC = Spec(
    name="counts",
    title="A model with whole numbers",
    features=CountFeatures,
    target=classes("high", "low"),
    load=load,
    pipeline=pipeline,
)
