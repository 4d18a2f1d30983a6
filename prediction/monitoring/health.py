"""The monitoring figures of a model and their intervals, from a window of the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models_store import store
from models_store.errors import DamagedVersion, InvalidInput, UnknownVersion
from models_store.spec import Columns, Spec
from prediction import times
from prediction.figures import profiles
from prediction.journal import ledger, refusals, rollups, samples
from prediction.journal.database import Journal
from prediction.journal.ledger import Entry
from prediction.journal.rollups import Count, Total
from prediction.journal.samples import Sampled
from prediction.monitoring.targets import kinds
from prediction.times import DAY_US, HOUR_US, MINUTE_US, iso, now_us

BUCKETS_US = [
    *(MINUTE_US * n for n in (1, 2, 5)),
    *(HOUR_US * n for n in (1, 2, 4, 8, 24, 48, 168)),
]
"""Possible lengths of a bucket. Counts by minute exist for the last few hours only."""

MAX_BUCKETS = 50
"""A window gets the shortest bucket that fits into it at most so often, else the longest there is.

Buckets are counted from 1970, and a window may begin and end within one: a window of length L touches at
most ceil(L / bucket) + 1 of them. That is up to 51, and up to 54 where buckets are weeks (366 days).
"""

PROMOTIONS = 50
VERSION_ROWS = 250
"""A version with fewer rows in the sample of the window gets a sample of its own."""

MAX_WINDOW_US = 366 * DAY_US
DEFAULT_WINDOW = "24h"


@dataclass(frozen=True)
class Window:
    """A span of time up to now, cut into buckets; it begins with its first bucket."""

    text: str
    since_us: int
    until_us: int
    bucket_us: int


def window(text: str = DEFAULT_WINDOW, until_us: int | None = None) -> Window:
    """Read a window such as 30m, 24h or 7d, which ends now or at another time.

    Raises
    ------
    InvalidInput
        When the text is no span of time, or longer than 366 days.
    """
    try:
        length_us = times.parse_span(text)
    except InvalidInput as error:
        raise InvalidInput(f"window: {error}", [{"loc": ["window"], "msg": str(error)}]) from error
    if length_us > MAX_WINDOW_US:
        message = "must be at most 366d"
        raise InvalidInput(f"window: {message}", [{"loc": ["window"], "msg": message}])
    until_us = now_us() if until_us is None else until_us
    bucket_us = next(
        size for size in BUCKETS_US if length_us <= size * MAX_BUCKETS or size == BUCKETS_US[-1]
    )
    since_us = (until_us - length_us) // bucket_us * bucket_us
    return Window(text.strip().lstrip("0"), since_us, until_us, bucket_us)


def describe(spec: Spec, home: Path, journal: Journal, span: Window) -> dict[str, Any]:
    """Return the figures of one model: by version, over time, and what was refused.

    Counts are exact. Figures that need the rows themselves come from a sample of at most
    `samples.SAMPLE_ROWS` rows, or from a sample of its own for a rare version, and give its size.
    A label counts for the version that predicted, at the time of the prediction.
    """
    times_us = (span.since_us, span.until_us, span.bucket_us)
    counted, totals = rollups.figures(journal, spec.name, *times_us)
    versions = Counter[str]()
    for count in counted:
        versions[count.version] += count.rows
    versions = +versions  # drop versions with counts of labels only: their predictions are gone
    promotions = ledger.entries(journal, spec.name, limit=PROMOTIONS)
    sample, by_version = _draw(journal, spec.name, span, versions, promotions)
    parts = [
        _Part(
            version,
            [count for count in counted if count.version == version],
            [total for total in totals if total.version == version],
            by_version[version],
            kinds.of(spec.target).learned(spec, home, version),
        )
        for version, _ in versions.most_common()
    ]
    whole = _Part("", counted, totals, sample, {part.version: part.learned for part in parts})
    return {
        "model": spec.name,
        "window": span.text,
        "since": iso(span.since_us),
        "until": iso(span.until_us),
        "champion": promotions[0].to_version if promotions else None,
        "predictions": versions.total(),
        "outcomes": sum(count.rows for count in counted if count.label),
        "versions": [
            _version(spec, part) | {"drift": _drift(spec, home, part.version, part.sample)}
            for part in parts
        ],
        "over_time": _over_time(spec, span, whole),
        "promotions": [
            {"at": iso(entry.at_us), "from": entry.from_version, "to": entry.to_version}
            for entry in promotions
            if entry.at_us >= span.since_us
        ],
        "refused_since": iso(refusals.begin(span.since_us)),
        "refused": [
            {"reason": item.reason, "feature": item.feature or None, "requests": item.requests}
            for item in refusals.find(journal, spec.name, span.since_us)
        ],
    }


def _draw(
    journal: Journal, model: str, span: Window, versions: Counter[str], promotions: Sequence[Entry]
) -> tuple[list[Sampled], dict[str, list[Sampled]]]:
    """Return a sample of the window, and one of each version.

    The sample of a version is its part of the window's sample. If that is too small, rows are drawn
    for this version alone, from the times at which it was the champion.
    """
    sample = samples.draw(journal, model, span.since_us, span.until_us, rows=versions.total())
    by_version = {version: [row for row in sample if row.version == version] for version in versions}
    ends_us = [span.until_us, *(entry.at_us for entry in promotions)]
    for version, rows in versions.items():
        if len(by_version[version]) >= min(rows, VERSION_ROWS):
            continue
        own: list[Sampled] = []
        for entry, end_us in zip(promotions, ends_us, strict=False):  # from the newest on
            since_us = max(span.since_us, entry.at_us)
            if entry.to_version == version and since_us < end_us:
                drawn = samples.draw(journal, model, since_us, end_us, rows=rows, limit=VERSION_ROWS)
                own += [row for row in drawn if row.version == version]
        by_version[version] = max(by_version[version], own, key=len)
    return sample, by_version


@dataclass(frozen=True)
class _Part:
    """What a window has of one version; for all versions together `learned` has what each has learned."""

    version: str
    counted: list[Count]
    totals: list[Total]
    sample: list[Sampled]
    learned: Any


def _version(spec: Spec, part: _Part) -> dict[str, Any]:
    total = sum(count.rows for count in part.counted)
    outcomes = sum(count.rows for count in part.counted if count.label)
    found = kinds.of(spec.target)
    return {
        "version": part.version,
        "predictions": total,
        "outcomes": outcomes,
        "labels_outstanding": total - outcomes,
        **found.figures(spec.target, part.counted, part.totals, part.sample, part.learned),
        "quality": _quality(spec, part.sample),
    }


def _drift(spec: Spec, home: Path, version: str, sample: Sequence[Sampled]) -> list[dict[str, Any]] | None:
    """Compare a sample with the training data of its version; None if the version is gone."""
    try:
        profile = store.get(home, spec.name, version).read_json(store.PROFILE)
    except (UnknownVersion, DamagedVersion):
        return None
    columns: Columns = {name: [row.features.get(name) for row in sample] for name in spec.inputs}
    found = profiles.compare(spec, profile, columns, kinds.of(spec.target).answered(sample))
    units = {name: feature.unit for name, feature in spec.inputs.items()}
    return [{**asdict(item), "unit": units.get(item.name, "")} for item in found]


def _quality(spec: Spec, sample: Sequence[Sampled]) -> dict[str, Any]:
    unlike = Counter(name for row in sample for name in row.unlike_training)
    missing = Counter(name for row in sample for name in spec.inputs if row.features.get(name) is None)
    rows = max(1, len(sample))
    return {
        "rows": len(sample),
        "features": {
            name: {"missing": missing[name] / rows, "out_of_training_range": unlike[name] / rows}
            for name in spec.inputs
        },
    }


def _over_time(spec: Spec, span: Window, whole: _Part) -> list[dict[str, Any]]:
    """Return the figures of all versions together by bucket; an empty bucket stays, as a gap."""
    rows = Counter[int]()
    for count in whole.counted:
        rows[count.at_us] += count.rows
    of_bucket = kinds.of(spec.target).over_time(
        span.bucket_us, whole.counted, whole.totals, whole.sample, whole.learned
    )
    return [
        {"at": iso(at_us), "predictions": rows[at_us], **of_bucket(at_us)}
        for at_us in range(span.since_us, span.until_us, span.bucket_us)
    ]
