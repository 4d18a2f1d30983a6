"""The text of an array in parts."""

from __future__ import annotations

import json

from models_store.arrays import PART_BYTES, Slice, cut, repeated_keys

ROW_BYTES = 1_000


def test_a_short_array_is_one_part() -> None:
    """It is not copied or looked at."""
    raw = b"anything" * 1_000

    assert [Slice(raw)] == list(cut(raw, ROW_BYTES))


def test_a_long_array_is_cut_between_rows() -> None:
    """Each part is an array; together they have all rows, whatever the blanks between these."""
    rows = [{"row": number} for number in range(20_000)]
    for raw in (json.dumps(rows), json.dumps(rows, indent=1), json.dumps(rows, separators=(",", ":"))):
        parts = list(cut(raw.encode(), ROW_BYTES))

        assert all(part.is_whole and len(part.text) <= 2 * PART_BYTES + 2 for part in parts)
        assert len(parts) > 5
        assert rows == [row for part in parts for row in json.loads(part.text)]


def test_no_cut_is_inside_a_text() -> None:
    """The signs between two rows may also be in a value, beside quotation marks."""
    rows = [{"text": text} for text in ("}, {", '"}, {', 'a"b"}, {', "\\") for _ in range(3)] * 3_000

    parts = list(cut(json.dumps(rows).encode(), ROW_BYTES))

    assert len(parts) > 5
    assert rows == [row for part in parts for row in json.loads(part.text)]


def test_a_row_without_end_is_the_last_part() -> None:
    """The rest is not read, so it can't hold a worker."""
    raw = b'[{"a": 1}, {"' + b"k" * 1_000_000 + b'": 1}, {"a": 1}]'

    assert [Slice(raw[: PART_BYTES + ROW_BYTES], is_whole=False)] == list(cut(raw, ROW_BYTES))


def test_a_row_that_fits_its_limit_stays_whole() -> None:
    """A long row may be longer than a part."""
    raw = b'[{"' + b"k" * 3 * PART_BYTES + b'": 1}]'

    assert [Slice(raw)] == list(cut(raw, 3 * PART_BYTES))


def test_repeated_keys_are_found_by_object() -> None:
    """A key of an object inside a value is none of the row's."""
    assert ["a"] == repeated_keys(b'{"a": 1, "b": 2, "a": 3}')
    assert [None, "b", None] == repeated_keys(b'[{"a": 1}, {"b": {"a": 1, "a": 2}, "b": 1}, {"a": "b"}]')
