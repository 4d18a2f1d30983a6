"""Texts: limits, what the pipeline gets, and what the proof draws."""

from __future__ import annotations

import numpy as np
import pytest

from models_store.errors import InvalidInput
from models_store.features.text import Text
from models_store.spec import Features, text
from models_store.validation import ROW_BYTES, Validator
from tests.models_store.features.rows import validator

NOTE = Text(name="a", max_length=20, optional=True)


def test_a_text_has_no_blanks_around_it_and_an_empty_one_is_missing() -> None:
    """The limit counts what is left."""
    rows = validator(str | None, NOTE)

    assert ["two words", None, "x" * 20] == [
        rows.object({"a": value}).a for value in (" two words\n", " \t", " " + "x" * 20)
    ]


@pytest.mark.parametrize("value", ["x" * 21, "a\0", 1, ["a"], "\ud800"])
def test_a_text_that_is_too_long_or_no_text_is_refused(value: object) -> None:
    """The message does not repeat it."""
    with pytest.raises(InvalidInput) as refused:
        validator(str | None, NOTE).object({"a": value})

    assert "a: must be a text of 1 to 20 characters without NUL or null" in str(refused.value)


def test_the_pipeline_gets_an_empty_text_for_a_missing_one() -> None:
    """Vectorisers take no None."""
    assert ["late", ""] == NOTE.series(["late", None]).tolist()


def test_drawn_texts_have_known_and_new_words() -> None:
    """And keep the limit."""
    note = Text(name="a", max_length=100)
    drawn = note.draw(200, np.random.default_rng(0), ["late crew", None])
    words = {word.strip(" ,.!") for each in drawn for word in each.split()}

    assert {"late", "crew"} < words
    assert 1 <= min(map(len, drawn)) <= max(map(len, drawn)) <= 100


def test_a_row_may_be_as_large_as_its_texts() -> None:
    """The limit of bytes follows the limit of characters."""

    class Long(Features):
        a: str = text("Long", max_length=100_000, example="x")

    rows = Validator(Long, "rows", {})

    assert rows.row_bytes > 12 * 100_000 > ROW_BYTES
