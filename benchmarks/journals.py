"""A journal with a million predictions in it, by direct inserts into SQLite.

Rows are copies of some that the service itself recorded, with ids and times of their own: whatever
columns the table has, they are filled as the service fills them.
"""

from __future__ import annotations

import random
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

TABLE = "predictions"
DAYS = 30


def fill(path: Path, rows: int, days: int = DAYS) -> None:
    """Put rows in the place of the few that a journal holds, spread over the last days."""
    with closing(sqlite3.connect(path)) as connection:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({TABLE})")]
        columns.remove("seq")
        names = ", ".join(columns)
        models = connection.execute(f"SELECT {names} FROM {TABLE} ORDER BY seq").fetchall()
        places = ", ".join("?" * len(columns))
        connection.executemany(
            f"INSERT INTO {TABLE} ({names}) VALUES ({places})",
            _copies(columns, models, rows, days * 24 * 3600),
        )
        connection.execute(f"DELETE FROM {TABLE} WHERE seq <= ?", (len(models),))
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def count(path: Path) -> int:
    """Return how many predictions a journal holds."""
    with closing(sqlite3.connect(path)) as connection:
        (rows,) = connection.execute(f"SELECT count(*) FROM {TABLE}").fetchone()
        return int(rows)


def _copies(columns: list[str], models: list[Any], rows: int, seconds: int) -> Iterator[list[Any]]:
    key, at = columns.index("prediction_id"), columns.index("at_us")
    first_us = int((time.time() - seconds) * 1e6)
    for number in range(rows):
        copy = list(models[number % len(models)])
        copy[at] = first_us + seconds * 1_000_000 * number // rows
        copy[key] = _uuid7(copy[at] // 1000)
        yield copy


def _uuid7(at_ms: int) -> str:
    """Make the id of a past prediction (RFC 9562, section 5.7)."""
    drawn = random.getrandbits(76)
    return str(uuid.UUID(int=at_ms << 80 | 7 << 76 | drawn >> 64 << 64 | 2 << 62 | drawn & 2**62 - 1))
