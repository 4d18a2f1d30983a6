"""Ids of a run's predictions: the same again, and nobody else's."""

from __future__ import annotations

from uuid import UUID

from prediction.batch.bulk import ids
from prediction.journal import predictions

RUN = "0193a3a6-7c1e-7d42-9f63-5a1f3d0c8e21"


def test_a_row_has_the_same_id_again() -> None:
    """However the rows of a unit are cut into chunks; a release must not change them."""
    found = ids.of_rows(RUN, 7, range(1, 1_001))

    assert found == ids.of_rows(RUN, 7, range(1, 501)) + ids.of_rows(RUN, 7, range(501, 1_001))
    assert "0193a3a6-7c1e-7007-8000-01c02b3807cd" == found[0]


def test_no_two_rows_have_one_id() -> None:
    """Neither in a unit nor of other units or runs."""
    units = (0, 1, 4_096, 10_000_000)
    found = [each for unit in units for each in ids.of_rows(RUN, unit, range(1, 10_001))]
    found += ids.of_rows(ids.new_run(), 0, range(1, 10_001))

    assert 50_000 == len(set(found))


def test_ids_of_a_unit_are_in_the_order_of_its_rows() -> None:
    """So an index of the journal grows at one place."""
    found = ids.of_rows(RUN, 3, range(1, 10_001))

    assert sorted(found) == found


def test_ids_are_those_of_requests() -> None:
    """UUIDs of version 7 with the time at which the run began."""
    run = ids.new_run()
    for row in ids.of_rows(run, 4_097, range(1, 200)):
        assert predictions.is_id(row)
        assert (7, "specified in RFC 4122") == (UUID(row).version, UUID(row).variant)
        assert run[:13] == row[:13]
        assert "7001" == row[14:18]
