"""The width of intervals, read from the sums of a real journal."""

from __future__ import annotations

from prediction.figures import adaptive
from prediction.journal import rollups
from prediction.journal.database import Journal
from prediction.serving import adaptation
from prediction.times import HOUR_US, now_us
from tests import databases, rents
from tests.leaves import spec_of

journal_url = databases.journal_url
journal = databases.journal
postgres = databases.postgres


def add(journal: Journal, version: str, hours: int, **sums: int) -> None:
    """Add sums to each of the last hours."""
    now = now_us()
    found = [
        rollups.Total("rents", now - hour * HOUR_US, version, adaptive.PREFIX + name.strip("_"), total)
        for hour in range(hours)
        for name, total in sums.items()
    ]
    with journal.write() as connection:
        journal.order(connection)
        rollups.add_totals(journal, connection, found)


def test_each_version_has_its_own_width(journal: Journal) -> None:
    """A new one begins as it was calibrated."""
    add(journal, "a", 12, _9=30)
    add(journal, "b", 3, _0=27, _1=3)

    assert [2.0, 1.0, 1.0] == [adaptation.width(journal, rents.SPEC, version) for version in "abc"]


def test_hours_count_in_their_order(journal: Journal) -> None:
    """Of the sums of a journal, which may be added in any order; the last hours only."""
    add(journal, "a", 30, _9=30)
    add(journal, "a", 20, _9=-30, _0=30)
    pieces = [{f"{adaptive.PREFIX}9": 30}] * 10 + [{f"{adaptive.PREFIX}0": 30}] * 20
    found = rollups.by_hour(journal, "rents", "a", adaptive.NAMES, hours=20)

    assert adaptive.width(pieces, 0.9) == adaptation.width(journal, rents.SPEC, "a")
    assert ({0, 30}, {f"{adaptive.PREFIX}0", f"{adaptive.PREFIX}9"}) >= (
        {each.total for each in found},
        {each.name for each in found},
    )
    assert len({each.at_us for each in found}) == 20


def test_classes_have_no_interval(journal: Journal) -> None:
    """Nothing is read for them."""
    assert 1.0 == adaptation.width(journal, spec_of([]), "a")
