"""Other names for the columns that a fitted estimator takes: its own may be no names of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from models_store.imported import trees


def rename(estimator: Any, names: Mapping[str, str]) -> None:
    """Give columns other names, wherever the estimator holds them.

    Parameters
    ----------
    names
        The new name by the old one.
    """
    from sklearn.compose import ColumnTransformer

    for part in trees.parts(estimator):
        held = getattr(part, "__dict__", {})
        if "feature_names_in_" in held:
            held["feature_names_in_"] = np.array(_renamed(held["feature_names_in_"], names), object)
        if isinstance(part, ColumnTransformer):
            for own in ("transformers", "transformers_"):
                if own in held:
                    held[own] = [(name, step, _renamed(which, names)) for name, step, which in held[own]]
            if "_columns" in held:
                held["_columns"] = [_renamed(which, names) for which in held["_columns"]]


def _renamed(columns: Any, names: Mapping[str, str]) -> Any:
    """Rename a column or a list of columns; positions stay."""
    if isinstance(columns, str):
        return names.get(columns, columns)
    if isinstance(columns, Sequence | np.ndarray) and all(isinstance(each, str) for each in columns):
        return [names.get(str(each), str(each)) for each in columns]
    return columns
