"""The frame that a pipeline is fitted on: its columns, made of the features, in their order.

A version stores its layout in its profile, so a spec that changes later does not change what it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.features import kinds
from models_store.features.feature import Feature

if TYPE_CHECKING:
    import pandas as pd

Columns = Mapping[str, Sequence[Any]]
"""Rows by feature: the values of each feature; a missing one is `None`."""


@dataclass(frozen=True)
class Layout:
    """The features that a pipeline was fitted on."""

    inputs: Mapping[str, Feature]

    @cached_property
    def texts(self) -> dict[str, bool]:
        """The columns of the frame, and whether each holds texts; all others are float64."""
        return {column: each.is_text for each in self.inputs.values() for column in each.columns}

    @cached_property
    def _spread(self) -> list[Feature]:
        """The features whose columns have other names than their own."""
        return [each for each in self.inputs.values() if each.columns != (each.name,)]

    @cached_property
    def is_spread(self) -> bool:
        """Whether any feature has columns of other names than its own."""
        return bool(self._spread)

    def spread(self, columns: Columns) -> Columns:
        """Turn values by feature into values by column of the frame."""
        made = {
            name: values
            for each in self._spread
            for name, values in zip(each.columns, each.spread(columns[each.name]), strict=True)
        }
        return {**columns, **made}

    @cached_property
    def _names(self) -> pd.Index:
        import pandas as pd

        return pd.Index(list(self.texts))

    def frame(self, columns: Columns) -> pd.DataFrame:
        """Make the frame of n rows; a missing number is NaN."""
        import pandas as pd

        columns = self.spread(columns)
        numbers = [columns[name] for name, is_text in self.texts.items() if not is_text]
        block = np.array(numbers, np.float64)
        if len(numbers) == len(self.texts):  # one array: a Series for each column takes 20 times as long
            return pd.DataFrame(block.T, columns=self._names, copy=False)
        rows = iter(block)
        return pd.DataFrame(
            {
                name: self.inputs[name].series(columns[name]) if is_text else next(rows)
                for name, is_text in self.texts.items()
            },
            copy=False,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the layout as plain values, for a version to store."""
        return {name: feature.shape() for name, feature in self.inputs.items()}


def of_profile(profile: Mapping[str, Any], inputs: Mapping[str, Feature]) -> Layout:
    """Return the layout of a version.

    Parameters
    ----------
    profile
        That of the version. Versions of the first release have noted no layout: they were fitted on
        numbers and on categories as objects.
    inputs
        The features of the spec.
    """
    if "layout" in profile:
        return Layout({name: kinds.revive(name, shape) for name, shape in profile["layout"].items()})
    return Layout({name: _first(name, seen, inputs) for name, seen in profile["features"].items()})


def _first(name: str, seen: Mapping[str, Any], inputs: Mapping[str, Feature]) -> Feature:
    shape: dict[str, Any] = {"kind": "number", "optional": name not in inputs or inputs[name].optional}
    if "counts" in seen:
        shape |= {"kind": "category", "categories": list(seen["counts"]), "dtype": "object"}
    return kinds.revive(name, shape)


def misfits(trained: Layout, inputs: Mapping[str, Feature]) -> list[str]:
    """Say why a version can't be given the rows of a spec; empty if it can.

    Optional features that the version does not know are no reason: it is not given them.

    Parameters
    ----------
    inputs
        The features of the spec.
    """
    gone = [f"{name} is gone" for name in trained.inputs if name not in inputs]
    found = {
        name: inputs[name].refuses(feature) for name, feature in trained.inputs.items() if name in inputs
    }
    changed = [f"{name} {words}" for name, words in found.items() if words]
    known = trained.inputs
    new = [name for name, feature in inputs.items() if name not in known and not feature.optional]
    return [*gone, *changed, *(f"{name} is new, and not optional" for name in new)]
