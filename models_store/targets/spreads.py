"""A small model of the expected error of a row, by its features: gradient boosting on absolute errors.

It is of our making, not of the spec's, so that it compiles; where it does not, the expected error of all
rows is the same. Which errors it learns from is the matter of training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

MIN_ROWS = 100
"""With fewer rows there is no model: it would learn chance."""

MAX_ROWS = 20_000
"""With more rows it learns from a draw of so many."""

MAX_CATEGORIES = 50
"""A column of texts with more of them is left out."""

TREES, DEPTH, RATE, SAMPLE = 60, 3, 0.1, 0.5
LEAF_SHARE = 0.02
"""The least share of rows in a leaf: an expected error is a mean of many."""

MISSING = -1e30
"""Stands for a missing number: below all others, so that trees can tell it apart."""


def fit(X: pd.DataFrame, errors: NDArray[np.float64], weights: NDArray[np.float64], seed: int) -> Any:
    """Fit the model; None if no column can say anything.

    Parameters
    ----------
    X
        n rows, as the pipeline of the spec takes them: numbers, and columns of texts.
    errors, weights
        Absolute errors of rows that their model had not seen, and the weight of each.
    """
    import numpy as np
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    if len(X) > MAX_ROWS:
        chosen = np.random.default_rng(seed).choice(len(X), MAX_ROWS, replace=False)
        X, errors, weights = X.iloc[chosen], errors[chosen], weights[chosen]
    numbers = [name for name in X.columns if X[name].dtype.kind == "f"]
    seen = {name: sorted(X[name].dropna().unique()) for name in X.columns if name not in numbers}
    texts = {name: found for name, found in seen.items() if 0 < len(found) <= MAX_CATEGORIES}
    if not numbers and not texts:
        return None
    parts: list[Any] = []
    if numbers:
        parts.append(("numbers", SimpleImputer(strategy="constant", fill_value=MISSING), numbers))
    if texts:
        one_hot = OneHotEncoder(
            categories=list(texts.values()), handle_unknown="ignore", sparse_output=False
        )
        parts.append(("texts", one_hot, list(texts)))
    boosting = GradientBoostingRegressor(
        n_estimators=TREES,
        max_depth=DEPTH,
        learning_rate=RATE,
        subsample=SAMPLE,
        min_samples_leaf=max(5, int(LEAF_SHARE * len(X))),
        random_state=seed,
    )
    pipeline = make_pipeline(ColumnTransformer(parts), boosting)
    return pipeline.fit(X, errors, gradientboostingregressor__sample_weight=weights)
