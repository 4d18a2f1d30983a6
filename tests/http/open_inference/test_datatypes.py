"""The datatypes in JSON and in binary, and tensors that do not hold what they say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from prediction.http.open_inference.datatypes import DATATYPES, Unreadable
from tests import tensors

VALUES: dict[str, list[Any]] = {
    "FP64": [5.1, -0.0, 1e308],
    "FP32": [0.5, -2.0, 5.099999904632568],
    "INT64": [2**63 - 1, -(2**63), 0],
    "INT32": [2**31 - 1, -(2**31), 0],
    "BOOL": [True, False],
    "BYTES": ["", "é", "a\0b", "x" * 300],
}


@pytest.mark.parametrize("name", list(DATATYPES))
def test_values_survive_the_way_there_and_back(name: str) -> None:
    """In binary as another program writes it, and in JSON."""
    values = VALUES[name]
    datatype = DATATYPES[name]

    assert values == datatype.from_binary(tensors.pack(name, values), len(values))
    assert tensors.pack(name, values) == datatype.to_binary(values)
    assert values == datatype.from_json(list(values))
    assert [] == datatype.from_binary(b"", 0)
    assert b"" == datatype.to_binary([])


def test_fp32_is_the_same_number_in_json_and_in_binary() -> None:
    """5.1 is no float of 32 bits; a missing value stays missing; an infinity is for the spec to refuse."""
    given = [5.1, 3, None, math.nan, 1e300]
    rounded = DATATYPES["FP32"].from_json(given)

    assert [float(np.float32(5.1)), 3.0] == rounded[:2]
    assert math.isnan(rounded[2])
    assert math.isnan(rounded[3])
    assert math.inf == rounded[4]
    assert ["5.1", True] == DATATYPES["FP32"].from_json(["5.1", True])


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("INT64", [1, 2.5], "INT64 holds whole numbers, and row 1 has another: send FP64"),
        ("INT32", [math.nan], "INT32 holds whole numbers, and row 0 has another: send FP64"),
        ("INT32", [2**31], "row 0 has a number that INT32 can't hold: send FP64"),
        ("INT64", [-(2**63) - 1], "row 0 has a number that INT64 can't hold: send FP64"),
        ("FP32", [10**400], "it has a number that FP32 can't hold"),
    ],
)
def test_json_holds_what_the_datatype_can_hold(name: str, values: list[Any], words: str) -> None:
    """Another number would be one thing in JSON and another in binary."""
    with pytest.raises(Unreadable) as error:
        DATATYPES[name].from_json(values)

    assert words == str(error.value)


@pytest.mark.parametrize(
    ("name", "raw", "count"),
    [
        ("FP64", b"1234567", 1),
        ("FP64", b"", 1),
        ("FP32", bytes(8), 1),
        ("INT32", bytes(3), 1),
        ("BOOL", b"\2", 1),
        ("BOOL", b"\0\1", 3),
        ("BYTES", b"", 1),
        ("BYTES", b"\1\0\0", 1),
        ("BYTES", b"\2\0\0\0x", 1),
        ("BYTES", b"\xff\xff\xff\xffx", 1),
        ("BYTES", b"\1\0\0\0x", 0),
        ("BYTES", b"\1\0\0\0xy", 1),
        ("BYTES", b"\1\0\0\0x", 2),
        ("BYTES", bytes(8), 10**12),
    ],
)
def test_a_length_that_lies_is_refused(name: str, raw: bytes, count: int) -> None:
    """Before anything of that length is made."""
    with pytest.raises(Unreadable):
        DATATYPES[name].from_binary(raw, count)


def test_bytes_that_are_no_text_become_what_no_spec_takes() -> None:
    """So the error is about the row and the feature, in the words of the spec."""
    assert ["\udcff"] == DATATYPES["BYTES"].from_binary(b"\1\0\0\0\xff", 1)
