"""What the values of a column are: numbers, yes or no, times or texts. It knows no spec."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

Kind = Literal["number", "integer", "flag", "text", "moment", "other"]

ALWAYS_MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "<na>"})
"""Texts, in small letters, that are missing values in a column of any kind."""

MISSING_NUMBERS = frozenset(
    {"?", "-", "--", ".", "none", "nil", "inf", "-inf", "+inf", "infinity", "-infinity"}
)
"""More of them in a column of numbers or times."""

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
COMMA = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?|[+-]?\d*,\d+|[+-]?\d+", re.ASCII)
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?|[+-]?\d+(\.\d*)?", re.ASCII)
MARKED = re.compile(r"[$€£]\s*|\s*[%€]")
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

ISO = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?)?", re.ASCII)


@dataclass(frozen=True)
class Read:
    """A column as values of one kind.

    Parameters
    ----------
    values
        Of the kind; None is a missing value. Moments are dates or times, which may be naive.
    notes
        What was decided, where there was a choice.
    plain
        Whether a file with such values can be scored as it is.
    """

    kind: Kind
    values: list[Any]
    notes: list[str] = field(default_factory=list)
    plain: bool = True


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


def _whole(values: list[Any], written_whole: bool, notes: list[str], plain: bool = True) -> Read:
    """Choose between integers and numbers: whole floats with gaps are integers, as pandas writes them."""
    present = [value for value in values if value is not None]
    has_gaps = len(present) < len(values)
    is_whole = all(float(value).is_integer() and abs(value) <= EXACT for value in present)
    if present and is_whole and (written_whole or has_gaps):
        return Read("integer", [None if value is None else int(value) for value in values], notes, plain)
    return Read("number", [None if value is None else float(value) for value in values], notes, plain)


# ------------------------------------------------------------------------------------------- texts


def _of_texts(values: list[str | None], comma: bool, listed: bool) -> Read:
    trimmed = [None if value is None else value.replace("\0", " ").strip() for value in values]
    counts = Counter(
        value for value in trimmed if value is not None and value.lower() not in ALWAYS_MISSING
    )
    rest = {value for value in counts if value.lower() not in MISSING_NUMBERS}
    if not listed and rest:
        lower = {value.lower() for value in rest}
        if lower == {"true", "false"}:
            known = {value: value.lower() == "true" for value in rest}
            return Read("flag", [known.get(value or "") for value in trimmed])
        for attempt in (_numbers, _moments):
            found = attempt(trimmed, rest, counts, comma)
            if found is not None:
                return found
    return Read("text", [value if value in counts else None for value in trimmed])


Parse = Callable[[str], float]


def _numbers(values: list[str | None], rest: set[str], counts: Counter[str], comma: bool) -> Read | None:
    if any(CODE.fullmatch(value) for value in rest):
        return None
    ways = _ways(comma)
    for way in ways:
        bare = {value: MARKED.sub("", value) if way.marked else value for value in rest}
        if all(way.pattern.fullmatch(value) for value in bare.values()):
            return _parsed(values, bare, [], way)
    for way in ways:  # a few words among many numbers
        wrong = [value for value in rest if not way.pattern.fullmatch(value)]
        is_rare = sum(counts[value] for value in wrong) <= MAX_SHARE * sum(counts.values())
        if len(wrong) <= MAX_OTHERS and is_rare and len(rest) - len(wrong) >= MIN_NUMBERS:
            return _parsed(values, {value: value for value in rest.difference(wrong)}, wrong, way)
    return None


@dataclass(frozen=True)
class _Way:
    """A way to write numbers; `words` say what is not plain in it."""

    pattern: re.Pattern[str]
    parse: Callable[[str], float]
    words: str = ""
    marked: bool = False


def _ways(comma: bool) -> list[_Way]:
    def of_comma(text: str) -> float:
        return float(text.replace(".", "").replace(",", "."))

    def of_thousands(text: str) -> float:
        return float(text.replace(",", ""))

    ways = [_Way(NUMBER, float)]
    ways += [_Way(COMMA, of_comma, "a decimal comma")] if comma else []
    ways.append(_Way(THOUSANDS, of_thousands, "commas between thousands"))
    return [*ways, _Way(THOUSANDS, of_thousands, "signs such as $ or %", marked=True)]


def _parsed(values: list[str | None], bare: dict[str, str], wrong: list[str], way: _Way) -> Read | None:
    known = {value: way.parse(text) for value, text in bare.items()}
    if any(
        abs(number) > EXACT and "." not in text
        for text, number in zip(bare.values(), known.values(), strict=True)
    ):
        return None  # an identifier: no float holds it
    notes = [f"its numbers are written with {way.words}"] if way.words else []
    notes += [f"{', '.join(map(repr, sorted(wrong)))} is read as missing"] if wrong else []
    found = [None if value is None else known.get(value) for value in values]
    signs = {value for value in values if value and value not in known}
    written_whole = all(number.is_integer() for number in known.values()) and not any(
        POINT.search(text) for text in bare.values()
    )
    return _whole(found, written_whole, notes, plain=not way.words and not signs)


def _moments(values: list[str | None], rest: set[str], counts: Counter[str], comma: bool) -> Read | None:
    del counts, comma
    plain = all(ISO.fullmatch(value) for value in rest)
    if plain:
        known = {value: _iso(value) for value in rest}
        if None not in known.values():
            return Read("moment", [known.get(value or "") for value in values])
    found = [(words, parsed) for way, words in FORMATS if (parsed := _parse_all(rest, way)) is not None]
    if not found:
        return None
    words, parsed = found[0]
    notes = [f"its times are written as {words}"]
    if len(found) > 1:
        notes.append(f"they could be {found[1][0]} too")
    return Read("moment", [parsed.get(value or "") for value in values], notes, plain=False)


def _iso(value: str) -> date | None:
    try:
        return datetime.fromisoformat(value.upper()) if len(value) > 10 else date.fromisoformat(value)
    except ValueError:
        return None


def _parse_all(values: set[str], way: str) -> dict[str, date] | None:
    found: dict[str, date] = {}
    for value in values:
        try:
            moment = datetime.strptime(value, way)  # noqa: DTZ007 -- the zone comes later
        except ValueError:
            return None
        found[value] = moment if "%H" in way else moment.date()
    return found
