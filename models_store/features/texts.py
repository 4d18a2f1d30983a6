"""The rule for texts over HTTP, in files and in frames: no blanks around them; empty ones are missing."""

from __future__ import annotations

import re
import string
from itertools import islice
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError, core_schema

if TYPE_CHECKING:
    import numpy as np
    from pydantic_core import CoreSchema

LETTERS = string.ascii_letters + string.digits + "éßñøЖ中İ\u0301²٣_-'"
HALF = re.compile("[\ud800-\udfff]")
"""Half a character: objects of Python may hold it, and no encoding can write it."""

PATTERN = r"^[^\u0000]*[^\s\u0000\u001c-\u001f\u0085][^\u0000]*$"
"""Describes a text in `docs.json`: no NUL, and something besides blanks."""

REASON = "reason"
"""The type of an error of ours: the validator puts its words behind those of the feature."""


def trim(value: str) -> str | None:
    """Return a text without the blanks around it; None if nothing is left.

    Arrow's `utf8_trim_whitespace` removes the same characters.
    """
    return value.strip() or None


def refusal(words: str = "") -> PydanticCustomError:
    """Make the error of a value, with the reason in words, if it has one."""
    return PydanticCustomError(REASON, "{words}", {"words": words})


def schema(max_characters: int, optional: bool) -> CoreSchema:
    """Return the schema of a text; an empty one is None, if it may be missing."""

    def check(value: str) -> str | None:
        found = trim(value)
        if found is None and optional:
            return None
        if found is None or len(found) > max_characters or "\0" in found or HALF.search(found):
            raise refusal()
        return found

    return core_schema.no_info_after_validator_function(check, core_schema.str_schema(strict=True))


def shown(max_characters: int) -> CoreSchema:
    """Return the schema that describes a text in `docs.json`."""
    return core_schema.str_schema(min_length=1, max_length=max_characters, pattern=PATTERN)


def draw_words(rows: int, rng: np.random.Generator) -> list[str]:
    """Draw words that hardly any dataset has."""
    lengths = rng.integers(1, 12, rows).tolist()
    letters = rng.integers(len(LETTERS), size=sum(lengths)).tolist()
    drawn = iter(LETTERS[letter] for letter in letters)
    return ["".join(islice(drawn, length)) for length in lengths]
