"""A spec of the tests whose dataset can be chosen: leaves of three kinds of trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from models_store.spec import Features, Spec, category, classes, number
from prediction.retraining.datasets import Dataset

Row = tuple[float | None, str, str]


class Leaf(Features):
    """One leaf."""

    length_cm: float | None = number("Length", unit="cm", low=0, high=1000, example=5, optional=True)
    edge: Literal["plain", "toothed"] = category("Edge", example="plain")


def spec_of(rows: Sequence[Row]) -> Spec:
    """Make a spec whose dataset is these rows: length, edge, class."""

    def load() -> tuple[pd.DataFrame, pd.Series]:
        frame = pd.DataFrame(
            {
                "length_cm": pd.Series([length for length, _, _ in rows], dtype="float64"),
                "edge": pd.Series([edge for _, edge, _ in rows], dtype="object"),
            }
        )
        return frame, pd.Series([label for _, _, label in rows], dtype="object")

    return Spec("leaf", "Tree of a leaf", Leaf, classes("ash", "oak", "yew"), load, trees)


def trees(seed: int) -> Any:
    """Trees on the length alone, which do not compile."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    length = ColumnTransformer([("length", FunctionTransformer(np.positive), ["length_cm"])])
    return make_pipeline(length, HistGradientBoostingClassifier(max_iter=5, random_state=seed))


def leaves(count: int) -> list[Row]:
    """Make leaves of three kinds, no two alike."""
    return [
        (None if row % 17 == 0 else row / 10 + 30 * (row % 3), ("plain", "toothed")[row % 2], kind)
        for row, kind in zip(range(count), ["ash", "oak", "yew"] * count, strict=False)
    ]


def rows_of(dataset: Dataset, part: Sequence[int]) -> list[Row]:
    """Return some rows of a dataset as they were given."""
    columns, labels = dataset.part(part)
    return list(zip(columns["length_cm"], columns["edge"], labels, strict=True))
