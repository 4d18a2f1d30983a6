"""A moment in time: the pipeline gets numbers made of it, such as its hour in a zone.

The value of a moment in rows, in the journal and in files is its text in the zone of the feature:
`2013-01-01T05:15:00-05:00`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from pydantic_core import core_schema

from models_store import faults
from models_store.features import feature, texts
from models_store.features.feature import Feature
from models_store.validation import listing

if TYPE_CHECKING:
    import numpy as np
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

DRAWN_DAYS = 40 * 365
RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d:\d\d(?:\.\d+)?)([Zz]|[+-]\d\d:[0-5]\d(?::[0-5]\d)?)?)?", re.ASCII
)
"""A date, and perhaps a time, and perhaps its offset. Offsets of the nineteenth century have seconds."""

PARTS: dict[str, Callable[[datetime], int]] = {
    "hour": lambda local: local.hour,
    "weekday": lambda local: local.weekday(),
    "month": lambda local: local.month,
    "days": lambda local: local.toordinal(),
}
"""The numbers that the pipeline may get; Monday is weekday 0. Days then count from another day."""


@dataclass(frozen=True, kw_only=True)
class Moment(Feature):
    """A moment, told in `zone`.

    Parameters
    ----------
    parts
        Which numbers are made of it, each a column `<name>_<part>` of the frame.
    since
        The day from which `days` counts, ISO 8601.
    naive
        Whether a time without an offset is one of `zone`.
    """

    kind: ClassVar[str] = "moment"
    declared_by: ClassVar[str] = "`datetime` with moment(...)"
    annotations: ClassVar[tuple[Any, ...]] = (datetime, date)

    zone: str = "UTC"
    parts: tuple[str, ...] = tuple(PARTS)
    since: str = "2000-01-01"
    naive: bool = False

    @property
    def words(self) -> str:
        """Describes a value that is not missing, in words."""
        offset = f"offset, in {self.zone} if it has none" if self.naive else "offset"
        return f"a time with its {offset}, such as 2013-01-01T05:15:00-05:00, or a date"

    @property
    def characters(self) -> int:
        """The most characters that a value has in JSON."""
        return 40

    def faults(self, annotation: Any) -> list[str]:
        """Say what is wrong with the declaration."""
        if annotation is not datetime:
            return [f"moment(...) goes with `datetime`, not with {faults.named(annotation)}"]
        return [*self._faults_of_parts(), *self._faults_of_names()]

    def _faults_of_parts(self) -> list[str]:
        unknown = [repr(part) for part in self.parts if part not in PARTS]
        words = [f"there is no part {listing(unknown)}: the parts are {listing(PARTS)}"] if unknown else []
        if not self.parts or len(set(self.parts)) < len(self.parts):
            words.append("name one part or more, each once")
        return words

    def _faults_of_names(self) -> list[str]:
        words = []
        try:
            ZoneInfo(self.zone)
        except (OSError, ValueError, TypeError, KeyError):  # it looks for a file of that name
            words.append(f"there is no zone {self.zone!r}: name one such as Europe/Paris or UTC")
        try:
            date.fromisoformat(self.since)
        except (ValueError, TypeError):
            words.append(f"since is a day such as 2000-01-01, not {self.since!r}")
        return words

    # ------------------------------------------------------------------------------------ one value

    def schema(self) -> CoreSchema:
        """Return the schema of a value, from a text or from Python's own types."""
        return core_schema.no_info_plain_validator_function(self.canonical)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        shown: list[JsonSchemaValue] = [
            {"type": "string", "format": "date-time"},
            {"type": "string", "format": "date"},
        ]
        return {"anyOf": [*shown, {"type": "null"}] if self.optional else shown}

    def canonical(self, value: Any) -> str | None:
        """Return a moment as text in the zone; a date is its midnight there."""
        if isinstance(value, str):
            trimmed = texts.trim(value)
            if trimmed is None and self.optional:
                return None
            value = _parse(trimmed or "")
        try:
            if isinstance(value, datetime):
                if value.tzinfo is None:
                    value = self._located(value)
                local = _plain(value).astimezone(self._zone)
            elif isinstance(value, date):
                midnight = datetime.combine(value, time(), self._zone)
                local = midnight.astimezone(UTC).astimezone(self._zone)  # some midnights do not exist
            else:
                raise texts.refusal()
        except OverflowError:  # year 1 or 9999, and beyond it in the zone
            raise texts.refusal(f"in {self.zone} this one is not in the years 1 to 9999") from None
        return local.isoformat()

    def _located(self, value: datetime) -> datetime:
        """Return a time without an offset as one of the zone."""
        if not self.naive:
            raise texts.refusal("this one has no offset: add it, +00:00 for UTC")
        return _plain(value.replace(tzinfo=self._zone)).astimezone(UTC)  # some times do not exist

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    # ----------------------------------------------------------------------------------- the frame

    def shape(self) -> dict[str, Any]:
        """Return what a version must note to get the same columns for ever, as plain values."""
        own = {"zone": self.zone, "parts": list(self.parts), "since": self.since}
        return {**super().shape(), **own}

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns in the frame."""
        return tuple(f"{self.name}_{part}" for part in self.parts)

    def spread(self, values: Sequence[Any]) -> list[Sequence[Any]]:
        """Return the values of its columns."""
        first, local = date.fromisoformat(self.since).toordinal(), self.local(values)
        starts = [first if part == "days" else 0 for part in self.parts]
        return [
            [None if each is None else PARTS[part](each) - start for each in local]
            for part, start in zip(self.parts, starts, strict=True)
        ]

    def local(self, values: Sequence[Any]) -> list[datetime | None]:
        """Return canonical texts, perhaps of another zone, as times in the zone."""
        return [value and _in_zone(datetime.fromisoformat(value), self._zone) for value in values]

    def draw(self, rows: int, rng: np.random.Generator, seen: Sequence[Any]) -> list[Any]:
        """Draw from forty years around the day from which days count."""
        start = datetime.combine(date.fromisoformat(self.since), time(), UTC)
        seconds = rng.uniform(-DRAWN_DAYS / 2, DRAWN_DAYS, rows) * 86_400
        return [self.canonical(start + timedelta(seconds=int(each))) for each in seconds.tolist()]


def _parse(value: str) -> date:
    """Read a date, or a time with or without its offset."""
    found = RFC_3339.fullmatch(value)
    if found is None:
        raise texts.refusal()
    day, at, offset = found.groups()
    try:
        return (
            datetime.fromisoformat(f"{day}T{at}{offset or ''}".upper()) if at else date.fromisoformat(day)
        )
    except ValueError:
        is_leap = at is not None and at[6:8] == "60"
        words = (
            "leap seconds are not supported: send second 59" if is_leap else "there is no such day or time"
        )
        raise texts.refusal(words) from None


def _in_zone(told: datetime, zone: ZoneInfo) -> datetime:
    try:
        return told.astimezone(zone)
    except OverflowError:  # it was told in another zone, in which it is just within the years 1 to 9999
        return told.replace(tzinfo=zone)


def _plain(value: datetime) -> datetime:
    """Return a time of pandas, which may have nanoseconds, as Python's own, which has none."""
    return datetime.combine(value.date(), value.time(), value.tzinfo).replace(fold=value.fold)


def moment(
    description: str,
    *,
    example: str,
    zone: str,
    parts: Sequence[str] = tuple(PARTS),
    since: str = "2000-01-01",
    naive: bool = False,
    optional: bool = False,
    header: str = "",
) -> Any:
    """Declare a feature that is a moment. The frame has a float64 column for each of its parts.

    Parameters
    ----------
    zone
        The zone in which it is told, such as `Europe/Paris`. A date is its midnight there.
    parts
        Which numbers the pipeline gets: `hour`, `weekday` (Monday is 0), `month`, and `days` since a day.
    since
        The day from which `days` counts.
    naive
        Whether a time without an offset is one of `zone`. Otherwise it is refused, because nobody knows
        which moment it is.
    optional
        Whether the value may be missing (`null`, empty or absent). The dataset must have such rows.
    header
        The name of its column in files and frames of rows, if that is another one.
    """
    made = Moment(
        description=description,
        example=example,
        zone=zone,
        parts=tuple(parts),
        since=since,
        naive=naive,
        optional=optional,
        header=header,
    )
    return feature.field(made)
