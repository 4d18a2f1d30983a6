"""The hash of a row stays what it was in every release."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.blocks import Floats
from models_store.spec import Columns
from prediction.retraining import fingerprints

RNG = np.random.default_rng(0)


def hashed(*rows: list[Any]) -> list[str]:
    """Hash rows as the first release did."""
    return [hashlib.sha256(json.dumps(row).encode()).hexdigest() for row in rows]


def test_a_row_is_hashed_as_json_writes_it() -> None:
    """So versions of all releases agree on it; a golden value says that JSON did not change either."""
    columns: Columns = {"a": [0.1, None], "b": ['é "x"', None], "c": Floats(np.array([5.0, np.nan]))}

    assert hashed([0.1, 'é "x"', 5.0], [None, None, None]) == fingerprints.of(columns)
    assert "4aeb1deb" == fingerprints.of({"a": [0.1], "b": ["x"]})[0][:8]


def test_a_number_is_the_same_whatever_type_it_came_as() -> None:
    """A gap in a column of integers makes floats of them; booleans are 1 and 0."""
    assert fingerprints.of({"a": [1.0, 0.0]}) == fingerprints.of({"a": [1, 0]})
    assert fingerprints.of({"a": [1.0, 0.0]}) == fingerprints.of({"a": [True, False]})
    assert fingerprints.plain({"a": [1]}) != fingerprints.plain({"a": [1.0]})


NUMBERS = {
    "of all sizes": np.sign(RNG.normal(size=20_000)) * 10 ** RNG.uniform(-320, 308, 20_000),
    "without an exponent": np.sign(RNG.normal(size=20_000)) * 10 ** RNG.uniform(-5, 17, 20_000),
    "decimals": np.round(RNG.uniform(-1e6, 1e6, 20_000), 2),
    "of 32 bits": RNG.normal(size=20_000).astype(np.float32).astype(np.float64),
    "halfway between two shortest": RNG.integers(2**49, 2**54, 20_000) / 8,
    "beside powers": np.concatenate(
        [np.nextafter(base ** np.arange(-9.0, 19), end) for base in (2.0, 10.0) for end in (0, 1e300)]
    ),
    "powers": np.concatenate([base ** np.arange(-9.0, 19.0) for base in (2.0, 10.0)]),
    "special": np.array([0.0, -0.0, 5e-324, 1e-4, 9e-5, 1e16, np.inf, -np.inf]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_arrays_are_hashed_as_lists(name: str) -> None:
    """Numbers in an array are written by another library, with the same digits."""
    numbers = NUMBERS[name]

    assert hashed(*([each] for each in numbers.tolist())) == fingerprints.of({"a": Floats(numbers)})


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_any_numbers_are_hashed_as_lists(numbers: list[float]) -> None:
    """Hypothesis finds no number that is written differently."""
    assert hashed(*([each] for each in numbers)) == fingerprints.of({"a": Floats(np.array(numbers))})
