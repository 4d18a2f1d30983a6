"""Columns of a table as features: the kind of each, its range, and which ones are left out and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from models_store.features.category import MAX_CHARACTERS, Category
from models_store.features.feature import Feature
from models_store.features.flag import Flag
from models_store.features.integer import Integer
from models_store.features.moment import Moment
from models_store.features.number import Number
from models_store.features.text import Text
from prediction.batch.cells import Cells
from prediction.proposals import names, ranges
from prediction.proposals.kinds import TEXT, Read

MAX_LISTED = 20
"""Categories that are listed; with more of them the category is open."""

ROWS_A_CATEGORY, ROWS_A_SENTENCE = 5, 20
"""So many rows on average, or the category is open; if its values are sentences, it is a text."""

MIN_WORDS, MIN_CHARACTERS = 4.0, 50.0
"""A column with so many words or characters on average is a text."""

ID_SHARE = 0.9
"""Texts of which so many are different name the rows."""

ID_NAME = re.compile(
    r"(.*[_\s.-])?(id|ids|idx|index|uuid|guid|key|rownames?|row|no|nr|number|unnamed.*)|.*[a-z]ID", re.I
)
MANY, FREQUENT = 30, 5
"""Of an open category at most so many values, each in so many rows or more, get a column."""

LENGTHS = (100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)


@dataclass(frozen=True)
class Column:
    """A column of a table, and what was found.

    Parameters
    ----------
    feature
        None if it is left out; `reason` says why.
    values
        As the Parquet file beside the spec holds them.
    missing
        The share of missing values.
    seen
        The range, or the values, in words.
    notes
        What was decided, where there was a choice.
    cells
        How its texts are written in the table.
    """

    header: str
    feature: Feature | None
    values: list[Any]
    missing: float
    seen: str
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    cells: Cells = TEXT

    def without(self, reason: str) -> Column:
        """Return the column as one that is left out."""
        return replace(self, feature=None, reason=reason)


def describe(header: str, name: str, found: Read, zone: str, kept: bool = False) -> Column:
    """Make a feature of a column, or say why it is none.

    Parameters
    ----------
    zone
        Of times without an offset.
    kept
        Whether it stays although it names the rows.
    """
    present = [value for value in found.values if value is not None]
    column = Column(
        header,
        None,
        found.values,
        1 - len(present) / len(found.values),
        _seen(found.kind, present),
        notes=list(found.notes),
        cells=found.cells,
    )
    if found.kind == "other":
        return column.without(found.notes[0])
    reason = _reason(header, found, present, kept)
    if reason:
        return column.without(reason)
    base = {"name": name, "header": header, "description": names.description(header, name)}
    feature = replace(_feature(found, present, zone), **base, optional=len(present) < len(found.values))
    if isinstance(feature, Moment):
        column = replace(column, values=_stored(found.values, feature.zone))
    return replace(column, feature=feature)


def _reason(header: str, found: Read, present: list[Any], kept: bool) -> str:
    """Say why a column tells nothing of new rows; empty if it may."""
    if not present:
        return "it has no values"
    different = len(set(present))
    if different == 1:
        return f"it has the same value in each row, {_short(present[0])}"
    if kept:
        return ""
    if found.kind == "text" and different > ID_SHARE * len(present) and not _is_long(present):
        return "nearly each row has another value: it names the row"
    if found.kind == "text" and not _is_listed(present) and not _is_long(present) and not frequent(present):
        return f"its {different:,} values are in fewer than {FREQUENT} rows each"
    if found.kind == "integer" and different == len(present):
        ordered = sorted(present)
        is_counted = ordered[-1] - ordered[0] == len(ordered) - 1 and len(ordered) > 2
        if ID_NAME.fullmatch(header) or (
            is_counted and (present == ordered or header.startswith("column_"))
        ):
            return "each row has another number: it names the row"
    return ""


def frequent(values: Sequence[Any]) -> list[str]:
    """Return the values of an open category that get a column."""
    counts = Counter(value for value in values if value is not None)
    return sorted(value for value, rows in counts.most_common(MANY) if rows >= FREQUENT)


def _is_listed(texts: Sequence[str]) -> bool:
    different = len(set(texts))
    rows = ROWS_A_SENTENCE if different > 2 and _is_long(texts) else ROWS_A_CATEGORY
    return different <= MAX_LISTED and len(texts) >= rows * different


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 30 else text[:29] + "…"


def _is_long(texts: Sequence[str]) -> bool:
    """Tell whether texts are sentences."""
    words = sum(len(text.split()) for text in texts) / len(texts)
    return words >= MIN_WORDS or sum(map(len, texts)) / len(texts) >= MIN_CHARACTERS


def _seen(kind: str, present: list[Any]) -> str:
    if not present:
        return ""
    if kind in ("number", "integer"):
        return (
            f"{min(present):g} to {max(present):g}"
            if kind == "number"
            else f"{min(present)} to {max(present)}"
        )
    if kind == "moment":
        days = [value.date() if isinstance(value, datetime) else value for value in present]
        return f"{min(days)} to {max(days)}"
    counts = Counter(map(str, present))
    if len(counts) > MAX_LISTED:
        return f"{len(counts):,} different"
    shown = [_short(value) for value, _ in counts.most_common(4)]
    return ", ".join(shown) + (f" and {len(counts) - 4} more" if len(counts) > 4 else "")


# ------------------------------------------------------------------------------------- the features


def _feature(found: Read, present: list[Any], zone: str) -> Feature:
    if found.kind in ("number", "integer"):
        return _number(found.kind, present)
    if found.kind == "flag":
        return Flag(example=present[0])
    return _moment(present, zone) if found.kind == "moment" else _text(present)


def _number(kind: str, present: list[Any]) -> Feature:
    low, high = ranges.guess(present)
    example = sorted(present)[len(present) // 2]
    if kind == "integer":
        return Integer(low=int(low), high=int(high), example=example)
    return Number(low=low, high=high, example=example)


def _text(present: list[str]) -> Feature:
    counts = Counter(present)
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    longest = max(map(len, counts))
    if not _is_listed(present) and (_is_long(present) or longest > MAX_CHARACTERS):
        limit = next((each for each in LENGTHS if each >= 2 * longest), 2 * longest)
        return Text(max_length=limit, example=_shortest(ordered))
    if _is_listed(present):
        return Category(categories=tuple(sorted(counts)), example=ordered[0])
    return Category(open=True, example=ordered[0])


def _shortest(texts: Sequence[str]) -> str:
    """Choose a text that fits a line, as an example."""
    return next((text for text in texts if len(text) <= 60 and "\n" not in text), texts[0][:60].strip())


def _moment(present: list[Any], zone: str) -> Moment:
    naive = any(isinstance(value, datetime) and value.tzinfo is None for value in present)
    zone = next(filter(None, map(_zone_of, present)), zone)
    local = sorted(_local(value, zone) for value in present)
    parts = list(_parts(local)) or ["days"]
    example = Moment(zone=zone, naive=True).canonical(present[0]) or ""
    return Moment(zone=zone, naive=naive, parts=tuple(parts), example=_as_written(present[0], example))


def _as_written(value: Any, told: str) -> str:
    return told if isinstance(value, datetime) else told[:10]


def _zone_of(value: Any) -> str:
    """Return the name of the zone of a time, if it has one."""
    key = getattr(getattr(value, "tzinfo", None), "key", "") or str(getattr(value, "tzinfo", "") or "")
    if not key:
        return ""
    try:
        ZoneInfo(key)
        return key
    except (OSError, ValueError, KeyError):  # an offset such as UTC+01:00
        return ""


def _local(value: Any, zone: str) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time())
    return (
        value.replace(tzinfo=None)
        if value.tzinfo is None
        else value.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    )


def _parts(local: Sequence[datetime]) -> Iterator[str]:
    """Choose what differs: days alone, which live rows have never seen, only if nothing else does."""
    if len({each.hour for each in local}) > 1:
        yield "hour"
    if len({each.weekday() for each in local}) > 1:
        yield "weekday"
    if len({each.month for each in local}) > 1:
        yield "month"


def _stored(values: Sequence[Any], zone: str) -> list[Any]:
    """Return moments as Parquet holds them: dates, or times of UTC."""
    if not any(isinstance(value, datetime) for value in values):
        return list(values)
    return [None if value is None else _in_utc(value, ZoneInfo(zone)) for value in values]


def _in_utc(value: Any, zone: ZoneInfo) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
