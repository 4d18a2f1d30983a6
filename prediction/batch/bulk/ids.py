"""Prediction ids of a run: each follows from the run, the unit and the row, so a row has the same id again.

They are UUIDs of version 7, as those of requests are. Without the id of the run nobody can guess them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from uuid import UUID

import uuid_utils

VARIANT = 0b10 << 62
"""The two bits that a UUID's last 64 bits begin with."""

UNITS, ROWS = 1 << 12, 1 << 22
HASH_BYTES = 5


def new_run() -> str:
    """Make the id of a run."""
    return str(uuid_utils.uuid7())


def of_rows(run: str, unit: int, rows: Iterable[int]) -> list[str]:
    """Return the ids of rows of a unit.

    They have the time at which the run began, 12 bits of the unit's number, 22 bits of the row's, and a
    hash of 40 bits. So the ids of a unit are in the order of its rows, and an index grows at one place:
    with random ids a database takes many times as long. Up to `UNITS` and `ROWS` no two ids are the same.
    """
    began = UUID(run).hex[:12]
    beginning = f"{began[:8]}-{began[8:]}-7{unit % UNITS:03x}-"
    base = hashlib.blake2b(f"{unit}:".encode(), digest_size=HASH_BYTES, key=UUID(run).bytes)
    ids = []
    for row in rows:
        hashed = base.copy()
        hashed.update(b"%d" % row)
        place = VARIANT | (row % ROWS) << 8 * HASH_BYTES | int.from_bytes(hashed.digest())
        digits = f"{place:016x}"
        ids.append(f"{beginning}{digits[:4]}-{digits[4:]}")
    return ids
