"""A journal with millions of predictions in it, by direct inserts into SQLite or PostgreSQL.

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

import sqlalchemy as sa

TABLE = "predictions"
DAYS = 30
UUID7_SQL = (
    "overlay(lpad(to_hex(times.at_us / 1000), 12, '0') placing '-' from 9 for 0)"
    " || '-7000-8000-' || lpad(to_hex(times.number), 12, '0')"
)
"""The id of a past prediction: its time, then its number in the place of what is drawn."""


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


def fill_postgresql(url: str, rows: int, days: int = DAYS) -> None:
    """Do the same in PostgreSQL, which makes the rows itself."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TEMP TABLE pattern ON COMMIT DROP AS SELECT * FROM {TABLE}")
        connection.exec_driver_sql("ALTER TABLE pattern ADD COLUMN number bigserial")
        names = connection.exec_driver_sql("SELECT * FROM pattern LIMIT 0").keys()
        copied = [name for name in list(names) if name not in ("seq", "prediction_id", "at_us", "number")]
        connection.exec_driver_sql(f"DELETE FROM {TABLE}")
        connection.exec_driver_sql(
            f"INSERT INTO {TABLE} (prediction_id, at_us, {', '.join(copied)})"
            f" SELECT {UUID7_SQL}, times.at_us, {', '.join(copied)} FROM ("
            "  SELECT number, (%(first_us)s + %(step_us)s * number)::bigint AS at_us"
            "  FROM generate_series(0, %(rows)s - 1) AS number"
            ") AS times JOIN pattern ON pattern.number = 1 + times.number %% (SELECT count(*) FROM pattern)"
            " ORDER BY times.number",
            {
                "first_us": int((time.time() - days * 24 * 3600) * 1e6),
                "step_us": days * 24 * 3600 * 1e6 / rows,
                "rows": rows,
            },
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"VACUUM ANALYZE {TABLE}")
    engine.dispose()


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
