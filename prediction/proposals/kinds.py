"""What the values of a column are: numbers, yes or no, times or texts. It knows no spec."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from models_store.dialects import DECIMAL_COMMAS, NUMBERS, PLAIN
from prediction.batch.cells import FLAGS, Cells, moment, number, trim

Kind = Literal["number", "integer", "flag", "text", "moment", "other"]
TEXT, PLAIN_NUMBERS = Cells("text"), Cells("number")
MANY = ["many"]

WAYS = {
    "1,234.5": "commas between thousands",
    "1234,5": "a decimal comma",
    "1.234,5": "a decimal comma",
    "$1,234.5%": "signs such as $ or %",
    "$1.234,5%": "a decimal comma and signs such as € or %",
}
"""What is not plain in a way to write numbers, in words."""

POINT = re.compile(r"[.eE]|,\d{1,2}$")
CODE = re.compile(r"0\d+", re.ASCII)
"""A number that begins with 0 is a code, such as a postcode."""

EXACT = 2**53 - 1
MAX_OTHERS, MAX_SHARE, MIN_NUMBERS = 3, 0.1, 20
"""So few different words, in so small a share of the cells, are signs of missing values among so many
different numbers."""

FORMATS = (
    ("%Y-%m-%d", "year-month-day"),
    ("%Y-%m-%d %H:%M", "year-month-day hour:minute"),
    ("%Y/%m/%d", "year/month/day"),
    ("%Y/%m/%d %H:%M:%S", "year/month/day hour:minute:second"),
    ("%m/%d/%Y", "month/day/year"),
    ("%d/%m/%Y", "day/month/year"),
    ("%m/%d/%y", "month/day/year"),
    ("%d/%m/%y", "day/month/year"),
    ("%m/%d/%Y %H:%M", "month/day/year hour:minute"),
    ("%d/%m/%Y %H:%M", "day/month/year hour:minute"),
    ("%m/%d/%Y %H:%M:%S", "month/day/year hour:minute:second"),
    ("%d/%m/%Y %H:%M:%S", "day/month/year hour:minute:second"),
    ("%d.%m.%Y", "day.month.year"),
    ("%d.%m.%Y %H:%M", "day.month.year hour:minute"),
    ("%d.%m.%Y %H:%M:%S", "day.month.year hour:minute:second"),
    ("%d-%m-%Y", "day-month-year"),
    ("%d %b %Y", "day month year"),
    ("%d-%b-%Y", "day-month-year"),
    ("%d-%b-%y", "day-month-year"),
    ("%b %d %Y", "month day year"),
    ("%b %d, %Y", "month day, year"),
    ("%d %B %Y", "day month year"),
    ("%B %d, %Y", "month day, year"),
)
"""Ways to write a time. Of two that fit all values, the first one is taken, and this is said."""


@dataclass(frozen=True)
class Read:
    """A column as values of one kind.

    Parameters
    ----------
    values
        Of the kind; None is a missing value. Moments are dates or times, which may be naive.
    notes
        What was decided, where there was a choice.
    cells
        How its texts are written.
    """

    kind: Kind
    values: list[Any]
    notes: list[str] = field(default_factory=list)
    cells: Cells = TEXT

    @property
    def plain(self) -> bool:
        """Whether its values are written as requests write them."""
        return not self.cells.way


def read(values: Sequence[Any], comma: bool = False, listed: bool = False) -> Read:
    """Find the kind of a column, and read its values.

    Parameters
    ----------
    comma
        Whether decimals may be written with a comma.
    listed
        Whether the file itself calls the column a category.
    """
    types = {type(value) for value in values if value is not None}
    if types <= {str}:
        return _of_texts(list(values), comma, listed)
    if listed:
        return Read("text", [None if value is None else str(value) for value in values])
    if types <= {bool}:
        return Read("flag", list(values))
    if types <= {int, float, Decimal}:
        return _of_numbers(values)
    if types <= {date, datetime} or all(issubclass(kind, datetime) for kind in types):
        return Read("moment", list(values))
    if types <= {str, int, float, bool}:  # one column, several types: JSON allows it
        texts = [None if value is None else str(value) for value in values]
        return _of_texts(texts, comma, listed)
    return Read("other", list(values), [f"it holds {', '.join(sorted(kind.__name__ for kind in types))}"])


def _of_numbers(values: Sequence[Any]) -> Read:
    found: list[float | int | None] = []
    endless = 0
    for value in values:
        number = float(value) if isinstance(value, Decimal) else value
        if isinstance(number, float) and not math.isfinite(number):
            endless += math.isinf(number)
            number = None
        found.append(number)
    notes = [f"{endless} infinite values are read as missing"] if endless else []
    return _whole(found, not any(isinstance(each, float) for each in found), notes)


def _whole(values: list[Any], written_whole: bool, notes: list[str], cells: Cells = TEXT) -> Read:
    """Choose between integers and numbers: whole floats with gaps are integers, as pandas writes them."""
    present = [value for value in values if value is not None]
    has_gaps = len(present) < len(values)
    is_whole = all(float(value).is_integer() and abs(value) <= EXACT for value in present)
    if present and is_whole and (written_whole or has_gaps):
        return Read("integer", [None if value is None else int(value) for value in values], notes, cells)
    return Read("number", [None if value is None else float(value) for value in values], notes, cells)


# ------------------------------------------------------------------------------------------- texts


def _of_texts(values: list[str | None], comma: bool, listed: bool) -> Read:
    counts = Counter(value for value in values if value is not None)
    told = {cell: trim(cell) for cell in counts}
    present = {text for text in set(told.values()) if not TEXT.is_missing(text)}
    rest = {text for text in present if not PLAIN_NUMBERS.is_missing(text)}
    if not listed and rest:
        column = _Texts(values, counts, told, rest)
        if all(text.lower() in FLAGS for text in rest) and len({text.lower() for text in rest}) > 1:
            return Read("flag", column.read(Cells("flag")))
        found = _numbers(column, comma) or _moments(column)
        if found is not None:
            return found
    return Read(
        "text", [None if cell is None or told[cell] not in present else told[cell] for cell in values]
    )


@dataclass(frozen=True)
class _Texts:
    """A column of texts.

    Parameters
    ----------
    counts
        How often there is each cell.
    told
        Each cell without blanks around it.
    rest
        Those of them that are missing values in no column.
    """

    values: list[str | None]
    counts: Counter[str]
    told: Mapping[str, str]
    rest: set[str]

    def read(self, cells: Cells) -> list[Any]:
        """Return the values, by the rule that files to score are read by."""
        known = {cell: cells.value(cell) for cell in self.counts}
        return [None if cell is None else known[cell] for cell in self.values]

    def share(self, texts: Collection[str]) -> float:
        """Return the share of texts among the cells that are no missing value."""
        counts = Counter(dict.fromkeys(self.rest, 0))
        for cell, rows in self.counts.items():
            if self.told[cell] in self.rest:
                counts[self.told[cell]] += rows
        return sum(counts[text] for text in texts) / counts.total()


def _numbers(column: _Texts, comma: bool) -> Read | None:
    if any(CODE.fullmatch(text) for text in column.rest):
        return None
    ways = [way for way in NUMBERS if comma or way not in DECIMAL_COMMAS]
    few: tuple[str, list[str]] | None = None
    for way in ways:
        wrong = _unread(column.rest, number, way)
        if not wrong:
            return _parsed(column, way, [])
        if wrong is not MANY and few is None:
            few = way, wrong
    if few is None or len(column.rest) - len(few[1]) < MIN_NUMBERS or column.share(few[1]) > MAX_SHARE:
        return None
    return _parsed(column, *few)  # a few words among many numbers


def _unread(texts: Collection[str], read: Callable[[str, str], Any], way: str) -> list[str]:
    """Return the texts that can't be read; `MANY` as soon as they are too many."""
    wrong: list[str] = []
    for text in texts:
        if read(text, way) is None:
            wrong.append(text)
            if len(wrong) > MAX_OTHERS:
                return MANY
    return sorted(wrong)


def _parsed(column: _Texts, way: str, wrong: list[str]) -> Read | None:
    numbers = {text: number(text, way) for text in column.rest.difference(wrong)}
    if any(abs(found or 0) > EXACT and text.lstrip("+-").isdigit() for text, found in numbers.items()):
        return None  # an identifier: no float holds it
    notes = [f"its numbers are written with {WAYS[way]}"] if way != PLAIN else []
    notes += [f"{', '.join(map(repr, wrong))} is read as missing"] if wrong else []
    written_whole = all(found is not None and found.is_integer() for found in numbers.values()) and not any(
        POINT.search(text) for text in numbers
    )
    cells = Cells("number", "" if way == PLAIN else way, frozenset(wrong))
    return _whole(column.read(cells), written_whole, notes, cells)


def _moments(column: _Texts) -> Read | None:
    if not _unread(column.rest, moment, ""):
        return Read("moment", column.read(Cells("moment")), cells=Cells("moment"))
    found = [(words, way) for way, words in FORMATS if not _unread(column.rest, moment, way)]
    if not found:
        return None
    words, way = found[0]
    notes = [f"its times are written as {words}"]
    if len(found) > 1:
        notes.append(f"they could be {found[1][0]} too")
    cells = Cells("moment", way)
    return Read("moment", column.read(cells), notes, cells)
