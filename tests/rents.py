"""A spec of the tests that predicts a number: rents of flats, whose errors grow with the area.

Tests also copy this file into a catalog: the file of a model.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from models_store.spec import Features, Spec, category, number, quantity

ROWS = 600
TOWNS = ("Aarau", "Bex")


class Flat(Features):
    """One flat."""

    area: float = number("Living area", unit="m2", low=10, high=400, example=80)
    rooms: float | None = number("Rooms", unit="", low=1, high=12, example=3, optional=True)
    town: Literal["Aarau", "Bex"] = category("Town", example="Bex")


def draw(rows: int, seed: int, dearer: float = 1.0) -> tuple[pd.DataFrame, pd.Series]:
    """Draw flats and their rents; all rents may be higher by a factor."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "area": rng.uniform(20, 200, rows).round(1),
            "rooms": rng.integers(1, 7, rows).astype(float),
            "town": pd.Series(rng.choice(TOWNS, rows), dtype="object"),
        }
    )
    X.loc[rng.random(rows) < 0.1, "rooms"] = np.nan
    rent = 10 * X.area + 50 * X.rooms.fillna(3) + 300 * (X.town == "Bex")
    noise = rng.normal(0, 0.5, rows) * X.area
    return X, (dearer * (rent + noise)).clip(100, 6000).round(2)


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return the dataset."""
    return draw(ROWS, 0)


def pipeline(seed: int) -> Any:
    """Boosted trees, which compile."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    one_hot = OneHotEncoder(categories=[list(TOWNS)], handle_unknown="ignore", sparse_output=False)
    parts = [
        ("numbers", SimpleImputer(strategy="median"), ["area", "rooms"]),
        ("town", one_hot, ["town"]),
    ]
    return make_pipeline(
        ColumnTransformer(parts), GradientBoostingRegressor(n_estimators=60, random_state=seed)
    )


SPEC = Spec(
    name="rents",
    title="Monthly rent of a flat",
    features=Flat,
    target=quantity("Monthly rent", unit="CHF", low=100, high=6000),
    load=load,
    pipeline=pipeline,
)
