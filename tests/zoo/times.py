"""One feature: a moment."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from models_store.spec import Features, Spec, classes, moment

if TYPE_CHECKING:
    import pandas as pd


class TimeFeatures(Features):
    """A moment."""

    called_at: datetime = moment("Call", example="2024-06-01T12:00:00+02:00", zone="Europe/Paris")


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return 200 rows; the label follows from the feature, with noise."""
    import numpy as np
    import pandas as pd

    rng, rows = np.random.default_rng(0), 200
    seconds = rng.integers(0, 330 * 86_400, rows)
    start = pd.Timestamp("2023-01-01", tz="UTC")
    values = (start + pd.to_timedelta(seconds, unit="s")).tz_convert("Europe/Paris")
    is_high = values.hour > 12
    X = pd.DataFrame({"called_at": values})
    return X, pd.Series(np.where(is_high ^ (rng.random(rows) < 0.1), "high", "low"))


def pipeline(seed: int) -> Any:
    """Trees on hour, weekday, month and days."""
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=3, random_state=seed)


SPEC = Spec(
    name="times",
    title="A model with a moment",
    features=TimeFeatures,
    target=classes("high", "low"),
    load=load,
    pipeline=pipeline,
)
