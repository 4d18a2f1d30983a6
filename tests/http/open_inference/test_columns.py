"""Columns are validated as rows are: the same values, the same words, the same limits."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from models_store.errors import InvalidInput
from models_store.spec import Columns, Spec
from models_store.validation import MAX_PLACES
from prediction.http.open_inference.columns import PART_ROWS, ColumnValidator
from tests import odd_bodies

ROWS = 2 * PART_ROWS + 7
Row = dict[str, Any]


def by_column(spec: Spec, rows: list[Row]) -> Columns:
    """Validate rows, given by column."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return asyncio.run(ColumnValidator(spec).validate(columns, len(rows)))


def outcome(validate: Callable[[], Any]) -> Any:
    """Return what a validation says: the values, or the error in full."""
    try:
        return validate()
    except InvalidInput as error:
        return str(error), error.detail, error.features


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", ["iris", "penguins", "planes"])
def test_columns_are_refused_as_rows_are(specs: dict[str, Spec], name: str, seed: int) -> None:
    """Whatever a value is, wherever it is: also the number of places, and the features that are counted."""
    spec, rng = specs[name], random.Random(seed)
    rows = [dict(spec.example) for _ in range(3)]
    left_out = rng.choice(list(spec.inputs))
    for row in rows:
        row[rng.choice(list(row))] = rng.choice([each for each in odd_bodies.ODD if each == each])  # no NaN
        if seed % 4 == 0:
            row.pop(left_out)
    try:
        raw = json.dumps(rows).encode()
    except ValueError:
        pytest.skip("no JSON")
    by_row = outcome(lambda: spec.columns(spec.rows.rows(raw, 10)))

    if "not JSON" in str(by_row):  # half a character, or an infinity: no row, and in a column a wrong value
        assert isinstance(outcome(lambda: by_column(spec, rows)), tuple)
    else:
        assert by_row == outcome(lambda: by_column(spec, rows))


def test_values_become_those_of_rows(specs: dict[str, Spec]) -> None:
    """Blanks are trimmed, moments are told in their zone, and a feature without a column is missing."""
    row = {
        "departs_at": " 2013-07-15T08:30:00-04:00",
        "origin": "JFK ",
        "destination": "LAX",
        "distance_mi": 2475,
        "temperature_c": 3,
        "is_wet": False,
    }
    found = by_column(specs["planes"], [row] * 2)

    assert specs["planes"].columns([specs["planes"].rows.object(row)] * 2) == found


def test_places_in_later_parts_are_counted(specs: dict[str, Spec]) -> None:
    """Of many, the first hundred are listed."""
    rows = [dict(specs["iris"].example) for _ in range(ROWS)]
    for number in (PART_ROWS + 3, ROWS - 1):
        rows[number]["petal_width_cm"] = -1
    with pytest.raises(InvalidInput, match=r"and 1 more") as two:
        by_column(specs["iris"], rows)
    for row in rows:
        row["petal_width_cm"] = -1
    with pytest.raises(InvalidInput, match="and more") as all_of_them:
        by_column(specs["iris"], rows)

    assert [[PART_ROWS + 3, "petal_width_cm"], [ROWS - 1, "petal_width_cm"]] == [
        each["loc"] for each in two.value.detail
    ]
    assert MAX_PLACES == len(all_of_them.value.detail)
