"""Columns that give the target away."""

from __future__ import annotations

from typing import Any

import numpy as np

from prediction.proposals import columns, kinds, leaks
from prediction.proposals.columns import Column

RNG = np.random.default_rng(0)
SPENT = RNG.uniform(1, 100, 200).round(2).tolist()


def column(header: str, values: list[Any]) -> Column:
    """Describe a column."""
    return columns.describe(header, header, kinds.read(values), "UTC")


def test_a_column_that_tells_all_classes_is_found() -> None:
    """A code of the class, also in other words or with a rare class; a good column is none."""
    labels = ["left" if spent > 50 else "stayed" for spent in SPENT] + ["dead"] * 2
    code = [{"left": "L", "stayed": "S", "dead": "D"}[label] for label in labels]
    noisy = [spent + RNG.normal(0, 5) for spent in SPENT] + [1.0, 2.0]

    found = leaks.find([column("code", code), column("noisy", noisy)], labels, is_quantity=False)

    assert ["code"] == list(found)
    assert "it alone tells 100.0% of the classes" in found["code"]


def test_a_column_in_the_order_of_the_quantity_is_found() -> None:
    """Its logarithm, for example."""
    other = [spent + RNG.normal(0, 5) for spent in SPENT]

    found = leaks.find(
        [column("log", np.log(SPENT).tolist()), column("other", other)], SPENT, is_quantity=True
    )

    assert ["log"] == list(found)


def test_few_rows_say_nothing() -> None:
    """Anything tells the classes of four rows."""
    assert {} == leaks.find([column("a", [1, 2, 3, 5])], ["x", "y", "x", "y"], is_quantity=False)
