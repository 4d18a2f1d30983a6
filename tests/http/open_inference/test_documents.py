"""The JSON of requests: long arrays are parsed in parts, and what is left of the text is short."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from typing import Any

import pytest

from prediction.http.open_inference import documents
from prediction.http.open_inference.documents import WHOLE_BYTES, Document, NotADocument

MOST = 30_000
rng = random.Random(0)
ARRAYS: dict[str, list[Any]] = {
    "numbers": [rng.uniform(-9, 9) for _ in range(MOST)],
    "texts": [rng.choice(['a,"]}\\', "é", '"data":[1', "x" * 30, ""]) for _ in range(MOST)],
    "scalars": [None, True, 1, 2.5, "x"] * (MOST // 5),
    "short": [1.5, "a"],
}


def read(raw: bytes, turns: Counter[str] | None = None) -> Document:
    """Read a text, and count how many turns other requests have."""
    turns = Counter() if turns is None else turns

    async def reading() -> Document:
        async def others() -> None:
            while True:
                turns["others"] += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(others())
        try:
            return await documents.read(raw, MOST)
        finally:
            beside.cancel()

    return asyncio.run(reading())


@pytest.mark.parametrize("kind", list(ARRAYS))
@pytest.mark.parametrize("form", [{}, {"ensure_ascii": False}, {"indent": 1}])
def test_a_text_is_what_json_says(kind: str, form: dict[str, Any]) -> None:
    """However it is written, and however long its arrays are."""
    values = ARRAYS[kind]
    text = {"id": '"data": [ "', "inputs": [{"data": values}, {"data": [], "n": 1}, {"data": values[::-1]}]}
    raw = json.dumps(text, **form).encode()
    turns = Counter[str]()
    found = read(raw, turns)

    assert text["id"] == found.content["id"]
    assert [values, [], values[::-1]] == [found.values(each["data"]) for each in found.content["inputs"]]
    assert turns["others"] >= len(raw) // WHOLE_BYTES, "a long text stops the other requests"


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b'{"data": [1,' + b"2.000," * (WHOLE_BYTES // 5), "is not JSON"),
        (b'{"data": [' + b"," * WHOLE_BYTES + b"]}", "is not JSON"),
        (b'{"data": [' + b"[1]," * WHOLE_BYTES + b"[1]]}", "has a long array of arrays in data"),
        (b'{"data": [' + b"2.000," * (WHOLE_BYTES // 5) + b"]}", "of data: trailing comma"),
        (b'{"data": [' + b"2.000," * (WHOLE_BYTES // 5) + b" \n]}", "of data: trailing comma"),
        (
            b'{"data": [' + b"2.000," * (WHOLE_BYTES // 5) + b"[2]]}",
            "is not JSON, or not flat, after value ",
        ),
        (b'{"data": [{}' + b",2.000" * (WHOLE_BYTES // 5) + b",]}", "of data: trailing comma"),
        (
            b'{"data": [{"a": 1}' + b",2.000" * (WHOLE_BYTES // 5) + b"]}",
            "is not JSON, or not flat, in data",
        ),
        (b'{"data": [' + b"1," * MOST * 2 + b"1]}", f"has more than {MOST} values in data: split it"),
        (b"[" + b"{}," * WHOLE_BYTES + b"{}]", f"has more than {WHOLE_BYTES} bytes besides"),
        (b'{"a": "' + b"]" * WHOLE_BYTES + b'"}', f"has more than {WHOLE_BYTES} bytes besides"),
        (b'{"data": ["' + b'\\"' * WHOLE_BYTES + b'"]}', f"has more than {WHOLE_BYTES} bytes besides"),
        (b'{"data": [1, "' + b'"' * WHOLE_BYTES, f"has more than {WHOLE_BYTES} bytes besides"),
        (b"[" * 1_000, "is not JSON"),
        (b'{"a": 1, "a": 2}', "has 'a' twice in one object: send each field once"),
        (b'{"inputs": [{"b": {}, "b": []}]}', "has 'b' twice in one object: send each field once"),
        (b'{"data": [' + b"1," * WHOLE_BYTES + b'1], "data": [1]}', "has more than"),
    ],
)
def test_a_text_that_is_none_is_refused(raw: bytes, words: str) -> None:
    """With the reason, and without a look at all of it."""
    with pytest.raises(NotADocument) as error:
        read(raw)

    assert words in str(error.value)


def test_a_place_is_one_in_the_text() -> None:
    """Of a long text no line and column are said: they would be those of a part."""
    for wrong in (b"x]}", b"1]}}", b'1], "b": }'):
        with pytest.raises(NotADocument, match=r"is not JSON.*: [a-z ]+\Z"):
            read(b'{"data": [' + b"1.25000," * (WHOLE_BYTES // 4) + wrong)
    with pytest.raises(NotADocument, match=r"column 11$"):
        read(b'{"data": [x]}')


@pytest.mark.parametrize(
    "data", [None, 1, "x", {}, [], [1], [{}], [{"\0cut": 7}], [{"\0cut": -1}], [{"\0cut": []}]]
)
def test_what_was_not_cut_is_returned(data: Any) -> None:
    """Also what looks like the mark of an array."""
    assert data == Document({}, [[1.5]]).values(data)


def test_a_mark_of_byte_order_is_no_part_of_the_text() -> None:
    """Some editors write it."""
    assert {"a": 1} == read(b'\xef\xbb\xbf{"a": 1}').content


def test_a_text_of_many_arrays_is_given_up_early() -> None:
    """Its end is not looked at: what is around the arrays is too long already."""
    one, turns = b'{"data": [1]},', Counter[str]()
    with pytest.raises(NotADocument, match="bytes besides flat arrays"):
        read(b"[" + one * 200_000 + b"{}]", turns)

    assert 100 < turns["others"] < WHOLE_BYTES // len(one)
