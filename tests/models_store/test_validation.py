"""What is wrong with a body, in words for people."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from models_store.errors import InvalidInput
from models_store.validation import MAX_ERRORS, MAX_ERRORS_A_ROW, Validator


class Bread(BaseModel):
    """A row of the tests."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    weight_g: float = Field(ge=1, le=5000)
    kind: Literal["rye", "wheat"]


BREAD = Validator(Bread, "bread", {"weight_g": "a number from 1 to 5000 g", "kind": "one of rye, wheat"})
GOOD = {"weight_g": 800, "kind": "rye"}


def refused(raw: bytes, max_rows: int | None = None) -> InvalidInput:
    """Return the error of a body."""
    read = BREAD.row if max_rows is None else partial(BREAD.rows, max_rows=max_rows)
    with pytest.raises(InvalidInput) as caught:
        read(raw)
    return caught.value


def test_a_good_row_is_the_same_from_json_and_from_python() -> None:
    """Both give the same model."""
    assert BREAD.row(json.dumps(GOOD).encode()) == BREAD.object(GOOD) == Bread(weight_g=800, kind="rye")


@pytest.mark.parametrize(
    ("row", "loc", "msg"),
    [
        ({"kind": "rye"}, ["weight_g"], "is required: a number from 1 to 5000 g"),
        ({**GOOD, "weight_g": True}, ["weight_g"], "must be a number from 1 to 5000 g"),
        ({**GOOD, "weight_g": "800"}, ["weight_g"], "must be a number from 1 to 5000 g"),
        ({**GOOD, "weight_g": 0}, ["weight_g"], "must be a number from 1 to 5000 g"),
        ({**GOOD, "weight_g": None}, ["weight_g"], "must be a number from 1 to 5000 g"),
        ({**GOOD, "kind": "oat"}, ["kind"], "must be one of rye, wheat"),
        ({**GOOD, "price": 1}, ["price"], "unknown field; the fields are weight_g, kind"),
        ([800, "rye"], [], "send an object with the fields weight_g, kind"),
    ],
)
def test_each_error_names_its_place_and_what_to_do(row: Any, loc: list[str], msg: str) -> None:
    """The words are ours: no class, no link, no value."""
    error = refused(json.dumps(row).encode())

    assert [{"loc": loc, "msg": msg}] == error.detail
    assert msg in str(error)


def test_invalid_json_has_an_error_of_its_own() -> None:
    """It has the position in the text."""
    assert "the body is not JSON: EOF" in str(refused(b"{"))


def test_bad_rows_are_named_by_their_index() -> None:
    """All of them are named, in order."""
    rows = [GOOD, {**GOOD, "kind": 1}, GOOD, 7]

    error = refused(json.dumps(rows).encode(), max_rows=10)

    assert [[1, "kind"], [3]] == [item["loc"] for item in error.detail]
    assert ["kind"] == error.features


def test_too_many_rows_are_refused_without_reading_them() -> None:
    """There is one error, and not one for each row."""
    error = refused(b"[" + b"1," * 5000 + b"1]", max_rows=3)

    assert [{"loc": [], "msg": "at most 3 rows in a batch: split it"}] == error.detail[-1:]
    assert len(error.detail) <= 4


def test_one_row_with_many_errors_is_cut_short() -> None:
    """The size of an answer has a limit."""
    error = refused(json.dumps({**GOOD, **{f"x{i}": 1 for i in range(500)}}).encode())

    assert len(error.detail) == MAX_ERRORS_A_ROW
    assert "(and 499 more, see detail)" in str(error)


def test_very_many_errors_are_only_counted() -> None:
    """A list of a hundred thousand errors would block a worker."""
    body = json.dumps({**GOOD, **{f"x{i}": 1 for i in range(MAX_ERRORS + 1)}}).encode()

    error = refused(body)

    assert [] == error.detail
    assert f"{MAX_ERRORS + 1} errors" in str(error)
