"""What is wrong with a body, in words for people."""

from __future__ import annotations

import json
import sys
import tracemalloc
from functools import partial
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model

from models_store.arrays import PART_BYTES
from models_store.errors import InvalidInput
from models_store.validation import MAX_ERRORS_A_ROW, MAX_PLACES, ROW_BYTES, Validator, listing


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

    assert [{"loc": [], "msg": "at most 3 rows in a batch: split it"}] == error.detail


def test_one_row_with_many_errors_is_cut_short() -> None:
    """The size of an answer has a limit; the message has the number of all errors."""
    for count in (50, 500):
        row = {**GOOD, **{f"x{i}": 1 for i in range(count)}}
        for error in (
            refused(json.dumps(row).encode()),
            refused(json.dumps([GOOD, row]).encode(), max_rows=3),
        ):
            assert len(error.detail) == MAX_ERRORS_A_ROW
            assert f"(and {count - 1} more, see detail)" in str(error)


def test_validation_of_an_array_ends_at_the_hundredth_wrong_place() -> None:
    """The rest is not looked at, and the message says that there may be more."""
    wrong = [{**GOOD, "kind": "oat"}] * MAX_PLACES
    rest = [GOOD] * 5_000

    error = refused(json.dumps(wrong + rest).encode()[:-1], max_rows=10_000)

    assert [[index, "kind"] for index in range(MAX_PLACES)] == [item["loc"] for item in error.detail]
    assert "(and more: detail has the first 100)" in str(error)
    assert MAX_PLACES - 1 == len(refused(json.dumps(wrong[1:] + rest).encode(), max_rows=10_000).detail)


def test_a_long_array_is_validated_in_parts() -> None:
    """All parts together are the rows, in order, and a wrong row is named by its index in the whole."""
    rows = [{**GOOD, "weight_g": 1 + number % 4000} for number in range(5_000)]

    parts = list(BREAD.parts(json.dumps(rows).encode(), max_rows=5_000))

    assert len(parts) > 4
    assert max(map(len, parts)) < 2 * PART_BYTES / len(json.dumps(GOOD))
    assert rows == [row.model_dump() for part in parts for row in part]
    rows[4_321]["kind"] = "oat"
    assert [4_321, "kind"] == refused(json.dumps(rows).encode(), max_rows=5_000).detail[0]["loc"]
    assert "at most 4999 rows" in str(refused(json.dumps(rows[:1] * 5_000).encode(), max_rows=4_999))


def test_a_long_array_that_is_no_json_is_refused() -> None:
    """The error names the last row before the mistake; positions of a part would mislead."""
    raw = json.dumps([GOOD] * 5_000).encode()

    error = refused(raw.replace(b": 800", b": 800,", 4_000).replace(b": 800,,", b": 800,", 3_999), 5_000)

    assert str(error).startswith("invalid input for bread: the body is not JSON: after row 3")
    assert "column" not in str(error)


@pytest.mark.parametrize("value", ["1e400", "NaN", "-Infinity", "9" * 400, "9" * 5_000, "[" * 300, "1 2"])
def test_a_value_is_refused_in_a_batch_as_it_is_alone(value: str) -> None:
    """The second look, which finds the words, sees the same mistakes as the first one."""
    raw = json.dumps(GOOD).replace("800", value).encode()

    alone, in_batch = refused(raw), refused(b"[" + raw + b"]", max_rows=3)

    assert [item["loc"] for item in alone.detail] == [item["loc"][1:] for item in in_batch.detail]
    assert alone.detail[0]["msg"].partition(" at line ")[0] in in_batch.detail[0]["msg"]


@pytest.mark.parametrize(
    "raw",
    [
        b'[{"' + b"k" * 7_900_000 + b'": 1}]',
        b"[{" + b",".join(b'"%d": 1' % number for number in range(600_000)) + b"}]",
        b"[" + b"0," * 3_900_000 + b"0]",
        b"[" + b"{}," * 2_600_000 + b"{}]",
        b"[" + b" " * 7_900_000 + b"{}]",
        b'[{"kind": {'
        + b",".join(b'"%d": 1' % number for number in range(600_000))
        + b'}, "kind": "rye"}]',
        b"{" + b",".join(b'"%d": 1' % number for number in range(600_000)) + b"}",
        b"[" * 7_900_000,
        b'[{"kind": "' + b'}, {\\"' * 900_000 + b'"}]',
    ],
    ids=["key", "keys", "zeros", "empty rows", "blanks", "nested", "object", "brackets", "quotes"],
)
def test_of_eight_megabytes_of_nonsense_only_the_start_is_read(raw: bytes) -> None:
    """No body holds a worker, and none is echoed.

    Memory and calls are counted: a clock would also measure the collector of garbage and other threads.
    """
    BREAD.rows(b"[]", 1)
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    tracemalloc.start()
    sys.setprofile(count)
    try:
        error = refused(raw, max_rows=10_000)
    finally:
        sys.setprofile(None)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak_bytes < 2**20
    assert calls < 2 * ROW_BYTES
    assert len(str(error)) + len(json.dumps(error.detail)) < 65_536


def test_long_names_are_clipped_and_long_lists_end() -> None:
    """A key of a client and the categories of a spec are repeated up to a limit."""
    (item,) = refused(json.dumps({**GOOD, "k" * 5_000: 1}).encode()).detail

    assert ["k" * 63 + "…"] == item["loc"]
    assert "rye, wheat" == listing(["rye", "wheat"])
    assert listing(map(str, range(2_000))).endswith("18, 19 and 1980 more")


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (b'{"weight_g": 800, "kind": "rye", "kind": "wheat"}', "kind"),
        (b'{"weight_g": 800, "weight_g": 800, "kind": "rye"}', "weight_g"),
        (b'{"weight_g": 800, "kind": "rye", "k\\u0069nd": "rye"}', "kind"),
        (b'{"weight_g": {"x": 1, "x": 2}, "kind": "rye", "weight_g": 1}', "weight_g"),
    ],
)
def test_a_repeated_key_is_refused_by_its_name(raw: bytes, key: str) -> None:
    """The last value would win silently."""
    good = json.dumps(GOOD).encode()

    (alone,) = refused(raw).detail
    (in_batch,) = refused(b"[" + (good + b",") * 3_000 + raw + b"]", max_rows=5_000).detail

    assert {"loc": [key], "msg": "is given twice: send each field once"} == alone
    assert [3_000, key] == in_batch["loc"]


def test_quotation_marks_in_a_text_are_no_repeated_key() -> None:
    """A category may contain them, also together with the signs between two rows."""
    words = ('"', "}, {", '\\"', "a\\")

    class Odd(BaseModel):
        model_config = ConfigDict(extra="forbid", strict=True)
        word: Literal['"', "}, {", '\\"', "a\\"]
        other: str | None = None

    odd = Validator(Odd, "odd", {})
    rows = [{"word": word, **other} for word in words for other in ({}, {"other": '"x"'})] * 2_000

    assert rows == [
        row.model_dump(exclude_unset=True) for row in odd.rows(json.dumps(rows).encode(), 99_999)
    ]
    assert rows[:8] == [
        odd.row(json.dumps(row).encode()).model_dump(exclude_unset=True) for row in rows[:8]
    ]


def test_a_byte_order_mark_is_removed() -> None:
    """Some editors write one before the JSON."""
    raw = json.dumps(GOOD).encode("utf-8-sig")

    assert BREAD.row(raw) == Bread(weight_g=800, kind="rye")
    assert 1 == len(BREAD.rows(json.dumps([GOOD]).encode("utf-8-sig"), 3))


def test_a_row_may_be_as_large_as_its_categories_need() -> None:
    """The limit of a row is 64 KB, or the size of the longest values, written as escapes."""
    word = "x" * 20_000
    kind: Any = Literal[word]
    long = create_model("Long", word=(kind, ...))

    assert ROW_BYTES == BREAD.row_bytes
    assert Validator(long, "long", {}).row_bytes > 12 * len(word)
