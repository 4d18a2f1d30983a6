"""Rows by column: a sequence of rows as others are, and the same texts in the journal."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from models_store.spec import Spec
from prediction.serving.lanes import Direct, Joining
from prediction.serving.tables import ColumnTable


def of(spec: Spec, rows: list[dict[str, Any]]) -> ColumnTable:
    """Make a table of valid rows."""
    return ColumnTable(spec, spec.columns([spec.rows.object(row) for row in rows]), len(rows))


@pytest.fixture
def rows(specs: dict[str, Spec]) -> list[dict[str, Any]]:
    """Rows with all kinds of missing values, and with texts that JSON escapes."""
    return [
        specs["planes"].example,
        specs["planes"].example | {"destination": '"é\n%s\\', "seats": None, "is_wet": True},
        specs["planes"].example | {"distance_mi": 50, "temperature_c": 1e-7, "pressure_hpa": None},
    ]


def test_a_table_is_a_sequence_of_rows(specs: dict[str, Spec], rows: list[dict[str, Any]]) -> None:
    """Each is made when it is asked for; a slice is a table."""
    spec = specs["planes"]
    plain, table = [spec.rows.object(row) for row in rows], of(spec, rows)

    assert plain == list(table)
    assert 3 == len(table)
    assert [plain[0], plain[-1]] == [table[0], table[-1]]
    assert plain[1:5] == list(table[1:5])
    assert 2 == len(table[1:5])
    assert isinstance(table[:1], ColumnTable)
    with pytest.raises(IndexError):
        table[3]


def test_texts_are_those_that_rows_write(specs: dict[str, Spec], rows: list[dict[str, Any]]) -> None:
    """To the letter: the journal does not show how a row came."""
    spec = specs["planes"]

    assert [spec.rows.object(row).model_dump_json() for row in rows] == of(spec, rows).texts()
    assert json.loads(of(spec, rows).texts()[1]) == spec.rows.object(rows[1]).model_dump()
    assert [] == of(spec, []).texts()


def test_a_lane_takes_tables(specs: dict[str, Spec], rows: list[dict[str, Any]]) -> None:
    """A request that is answered alone is answered by column, whatever the lane."""
    spec, got = specs["planes"], list[Any]()
    expected: list[Any] = list(of(spec, rows))

    def predict(given: Any, _sizes: object = ()) -> list[Any]:
        got.append(given)
        return list(given)

    table = of(spec, rows)
    assert expected == asyncio.run(Direct(predict).predict(table))
    assert expected == asyncio.run(Joining(predict).predict(table))
    assert table is got[0]
    assert isinstance(got[1], ColumnTable)
    assert expected == list(got[1])
