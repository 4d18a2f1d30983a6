"""The rule for texts is one, here and in Arrow."""

from __future__ import annotations

import sys

import pyarrow
from pyarrow import compute

from models_store.features import texts


def test_arrow_removes_the_same_blanks() -> None:
    """For every character there is: files and HTTP have one rule."""
    every = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
    trimmed = compute.utf8_trim_whitespace(pyarrow.array(every)).to_pylist()

    assert [texts.trim(character) or "" for character in every] == trimmed
