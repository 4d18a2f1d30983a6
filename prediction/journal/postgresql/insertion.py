"""How rows of a table are inserted in one transaction by one message, and so in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy.dialects import postgresql

from prediction.journal.postgresql import engine


class Insertion:
    """Writes the message for a table, for cursors of `engine.make_for_messages`.

    Parameters
    ----------
    columns
        The names of the columns, in the order of the rows' values.
    key
        The column by which a row is known to be there already.
    patience_ms
        Timeout for a lock.
    """

    def __init__(self, table: sa.Table, columns: Sequence[str], key: str, patience_ms: int) -> None:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
        typed = ", ".join(f'"{name}" {table.c[name].type.compile(dialect)}' for name in columns)
        names = ", ".join(f'"{name}"' for name in columns)
        self._columns = columns
        self._insert = f'{engine.begin(patience_ms)}; INSERT INTO "{table.name}" ({names}) '
        self._values = f"VALUES ({', '.join(['%s'] * len(columns))})"
        self._parsed = f"SELECT * FROM json_to_recordset(%s) AS rows({typed})"  # noqa: S608 -- all ours
        self._again = f" ON CONFLICT ({key}) DO NOTHING"

    def write(self, rows: Sequence[Sequence[Any]], again: bool) -> tuple[str, Sequence[Any]]:
        """Return the message and its parameters.

        Many rows are one parameter, as JSON: that takes a sixth of the time of one parameter a value.

        Parameters
        ----------
        again
            Whether rows that are there already are left as they are; else they are an error.
        """
        rest = f"{self._again if again else ''}; COMMIT"
        if len(rows) == 1:
            return self._insert + self._values + rest, rows[0]
        objects = [dict(zip(self._columns, row, strict=True)) for row in rows]
        text = to_json(objects, inf_nan_mode="strings").decode()
        return self._insert + self._parsed + rest, [text]
