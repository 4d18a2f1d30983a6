"""Labels that are never numbered twice, and counts to which a label adds its own difference."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

COUNT_LABELS = """
INSERT INTO {table}
SELECT p.model, p.at_us / {size} * {size}, p.version, p.predicted_class, {label}, {sign} count(*)
FROM feedback f JOIN predictions p ON p.prediction_id = f.prediction_id
WHERE p.at_us >= {since} GROUP BY 1, 2, 3, 4, 5
"""
"""A label is one row more with it, and one row less without: the latter is counted when it is met."""


def upgrade() -> None:
    """Rebuild the table of labels on SQLite; begin the counts anew, from the labels that there are."""
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table(
            "feedback", recreate="always", table_kwargs={"sqlite_autoincrement": True}
        ):
            pass
    op.create_table(
        "rollup_minutes",
        sa.Column("model", sa.String(64), primary_key=True),
        sa.Column("minute_us", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("version", sa.String(64), primary_key=True),
        sa.Column("predicted_class", sa.String(255), primary_key=True),
        sa.Column("label", sa.String(255), primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
    )
    op.create_index("rollup_minutes_time", "rollup_minutes", ["minute_us"])
    op.drop_table("rollup_state")
    state = op.create_table(
        "rollup_state",
        sa.Column("prediction_seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("turn_us", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(state, [{"prediction_seq": 0, "turn_us": 0}])
    op.execute("DELETE FROM rollups")
    yesterday_us = time.time_ns() // 1000 - DAY_US
    for table, size, since in (("rollups", HOUR_US, 0), ("rollup_minutes", MINUTE_US, yesterday_us)):
        for label, sign in (("f.label", ""), ("''", "-")):
            op.execute(COUNT_LABELS.format(table=table, size=size, since=since, label=label, sign=sign))
