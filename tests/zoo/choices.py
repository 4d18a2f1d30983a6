"""Beside a number a category, given to trees as pandas' own dtype."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from models_store.spec import Features, Spec, category, classes, number

if TYPE_CHECKING:
    import pandas as pd


class ChoiceFeatures(Features):
    """A category, given to trees as pandas' own dtype."""

    grain: Literal["oats", "rye", "wheat"] | None = category("Grain", example="rye", optional=True)
    age: float = number("Age", unit="a", low=0, high=120, example=40)


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return 200 rows; the label follows from the feature, with noise."""
    import numpy as np
    import pandas as pd

    rng, rows = np.random.default_rng(0), 200
    values = rng.choice(np.array(["oats", "rye", "wheat", None], object), rows)
    is_high = values == "rye"
    X = pd.DataFrame({"grain": values, "age": rng.uniform(18, 90, rows).round(1)})
    return X, pd.Series(np.where(is_high ^ (rng.random(rows) < 0.1), "high", "low"))


def pipeline(seed: int) -> Any:
    """Trees that read categories themselves."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        categorical_features="from_dtype", max_iter=5, learning_rate=0.5, random_state=seed
    )


SPEC = Spec(
    name="choices",
    title="A model with a category, given to trees as pandas' own dtype",
    features=ChoiceFeatures,
    target=classes("high", "low"),
    load=load,
    pipeline=pipeline,
)
