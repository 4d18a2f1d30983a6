"""One feature: an open category."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models_store.spec import Features, Spec, category, classes

if TYPE_CHECKING:
    import pandas as pd


class CityFeatures(Features):
    """An open category."""

    city: str = category("City", example="Lyon", open=True)


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return 200 rows; the label follows from the feature, with noise."""
    import numpy as np
    import pandas as pd

    rng, rows = np.random.default_rng(0), 200
    values = rng.choice([*["Lyon", "Metz"] * 20, *(f"Ville-{n}" for n in range(40))], rows)
    is_high = values == "Lyon"
    X = pd.DataFrame({"city": values})
    return X, pd.Series(np.where(is_high ^ (rng.random(rows) < 0.1), "high", "low"))


def pipeline(seed: int) -> Any:
    """One column a city; a new one has none."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(encoder, LogisticRegression(random_state=seed))


SPEC = Spec(
    name="cities",
    title="A model with an open category",
    features=CityFeatures,
    target=classes("high", "low"),
    load=load,
    pipeline=pipeline,
)
