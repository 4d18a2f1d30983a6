"""The cells of files as values: numbers, flags, times and texts, in the ways that people write them.

One rule for the table that a model is made of and for the files that it scores. It knows no column.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from models_store.dialects import DECIMAL_COMMAS, PLAIN

ALWAYS_MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "<na>"})
"""Texts, in small letters, that are missing values in a column of any kind."""

MISSING_NUMBERS = frozenset(
    {"?", "-", "--", ".", "none", "nil", "inf", "-inf", "+inf", "infinity", "-infinity"}
)
"""More of them in a column of numbers, flags or times."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
COMMA = re.compile(r"[+-]?(\d+,?\d*|,\d+)([eE][+-]?\d+)?", re.ASCII)
COMMA_AND_POINTS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?", re.ASCII)
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", re.ASCII)
SIGNS = re.compile(r"[$€£]\s*|\s*[%€]")

ISO = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?)?", re.ASCII)
FLAGS = {"true": True, "false": False}
TEXTS = frozenset({"category", "text"})


class _Unreadable:
    """The value of a cell that is not written in the way of its column."""


UNREADABLE = _Unreadable()


def trim(text: str) -> str:
    """Return a cell without the blanks around it, and without NUL, which no text may have."""
    return text.replace("\0", " ").strip()


def number(text: str, way: str = PLAIN) -> float | None:
    """Read a number; None if it is not written in this way, or if no float holds it."""
    bare, plain = (SIGNS.sub("", text), way.strip("$%")) if way.startswith("$") else (text, way)
    if way in DECIMAL_COMMAS:
        bare = _without_comma(bare, plain)
    elif plain != PLAIN and THOUSANDS.fullmatch(bare):
        bare = bare.replace(",", "")
    found = float(bare) if NUMBER.fullmatch(bare) else math.nan
    return found if math.isfinite(found) else None


def _without_comma(text: str, way: str) -> str:
    """Return a number with a decimal point; nothing if it is not written with a comma."""
    if COMMA.fullmatch(text):
        return text.replace(",", ".")
    is_parted = "." in way and COMMA_AND_POINTS.fullmatch(text)
    return text.replace(".", "").replace(",", ".") if is_parted else ""


def moment(text: str, way: str = "") -> date | None:
    """Read a date or a time, perhaps without its offset; None if it is written in another way."""
    if ISO.fullmatch(text):
        try:
            return datetime.fromisoformat(text.upper()) if len(text) > 10 else date.fromisoformat(text)
        except ValueError:
            return None
    try:
        found = datetime.strptime(text, way)  # noqa: DTZ007 -- the zone comes later
    except ValueError:
        return None
    return found if "%H" in way or "%I" in way else found.date()


@dataclass(frozen=True)
class Cells:
    """How the cells of a column are written.

    Parameters
    ----------
    kind
        That of the column: a kind of feature.
    way
        How its numbers or times are written; by default plain numbers, and ISO 8601.
    missing
        More words that are missing values.
    """

    kind: str
    way: str = ""
    missing: frozenset[str] = frozenset()

    def is_missing(self, text: str) -> bool:
        """Tell whether a trimmed cell is a missing value."""
        lower = text.lower()
        return (
            lower in ALWAYS_MISSING
            or text in self.missing
            or (lower in MISSING_NUMBERS and self.kind not in TEXTS)
        )

    def value(self, text: str) -> Any:
        """Return the value of a cell: None if it is missing, `UNREADABLE` if written in another way."""
        text = trim(text)
        if self.is_missing(text):
            return None
        if self.kind in TEXTS:
            return text
        if self.kind == "flag":
            return FLAGS.get(text.lower(), UNREADABLE)
        found = moment(text, self.way) if self.kind == "moment" else number(text, self.way or PLAIN)
        return UNREADABLE if found is None else found
