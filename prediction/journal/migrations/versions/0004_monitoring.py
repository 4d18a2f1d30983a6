"""What monitoring reads instead of all predictions: counts by hour, and requests that were refused."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the three tables."""
    op.create_table(
        "rollups",
        sa.Column("model", sa.String(64), primary_key=True),
        sa.Column("hour_us", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("version", sa.String(64), primary_key=True),
        sa.Column("predicted_class", sa.String(255), primary_key=True),
        sa.Column("label", sa.String(255), primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "rollup_state",
        sa.Column("model", sa.String(64), primary_key=True),
        sa.Column("until_us", sa.BigInteger, nullable=False),
        sa.Column("feedback_seq", sa.BigInteger, nullable=False),
        sa.Column("turn_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "refusals",
        sa.Column("model", sa.String(64), primary_key=True),
        sa.Column("hour_us", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("reason", sa.String(64), primary_key=True),
        sa.Column("feature", sa.String(255), primary_key=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
    )
