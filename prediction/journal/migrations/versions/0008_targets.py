"""Room for targets that are numbers: predicted and true values, an interval, and sums beside the counts."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create two tables, then add columns: these take locks, which are held until the end."""
    for table, time_column in (("sums", "hour_us"), ("sum_minutes", "minute_us")):
        op.create_table(
            table,
            sa.Column("model", sa.String(64), primary_key=True),
            sa.Column(time_column, sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("version", sa.String(64), primary_key=True),
            sa.Column("name", sa.Text, primary_key=True),
            sa.Column("total", sa.BigInteger, nullable=False),
        )
    op.create_index("sum_minutes_time", "sum_minutes", ["minute_us"])
    for name in ("value", "low", "high"):
        op.add_column("predictions", sa.Column(name, sa.Double))
    for table in ("feedback", "corrections"):
        op.add_column(table, sa.Column("value", sa.Double))
        op.add_column(table, sa.Column("by", sa.Text))
