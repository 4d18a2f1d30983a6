"""Flights from New York: does one arrive late? The rows are made up."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from models_store.spec import (
    Features,
    Spec,
    category,
    classes,
    flag,
    integer,
    moment,
    number,
    text,
)

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline


class FlightFeatures(Features):
    """One flight, as it is known before its departure."""

    wind_kn: float | None = number("Wind", unit="kn", low=0, high=150, example=12.5, optional=True)
    distance_mi: int = integer("Distance", unit="mi", low=10, high=10_000, example=733)
    is_holiday: bool = flag("Public holiday", example=False)
    carrier: Literal["AA", "UA"] = category("Airline", example="AA")
    tail: str | None = category("Aircraft", example="N14228", open=True, optional=True)
    remarks: str | None = text("Remarks", max_length=2_000, example="late crew", optional=True)
    departs_at: datetime = moment(
        "Scheduled departure",
        example="2013-01-01T05:15:00-05:00",
        zone="America/New_York",
        parts=("hour", "weekday", "days"),
    )


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return 600 flights and whether each was late."""
    import numpy as np
    import pandas as pd

    rng, rows = np.random.default_rng(0), 600
    X = pd.DataFrame(
        {
            "wind_kn": np.where(rng.random(rows) < 0.1, np.nan, rng.gamma(3, 5, rows).round(1)),
            "distance_mi": rng.integers(100, 3_000, rows),
            "is_holiday": rng.random(rows) < 0.1,
            "carrier": rng.choice(["AA", "UA"], rows),
            "tail": rng.choice([f"N{number}" for number in range(100, 180)], rows),
            "remarks": rng.choice(["late crew", "crew on board", "late inbound aircraft", ""], rows),
            "departs_at": pd.date_range("2013-01-01 05:00", periods=rows, freq="5h", tz="America/New_York"),
        }
    )
    late = X["remarks"].str.contains("late") | (X["departs_at"].dt.hour > 17)
    return X, pd.Series(np.where(late ^ (rng.random(rows) < 0.1), "late", "punctual"))


def pipeline(seed: int) -> Pipeline:
    """One column for each number, category and word, then logistic regression."""
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = ["wind_kn", "distance_mi", "is_holiday"]
    times = ["departs_at_hour", "departs_at_weekday", "departs_at_days"]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(
        ColumnTransformer(
            [
                ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers + times),
                ("categories", one_hot, ["carrier", "tail"]),
                ("words", TfidfVectorizer(), "remarks"),
            ]
        ),
        LogisticRegression(max_iter=1000, random_state=seed),
    )


SPEC = Spec(
    name="flights",
    title="Whether a flight is late",
    features=FlightFeatures,
    target=classes("late", "punctual"),
    load=load,
    pipeline=pipeline,
)
