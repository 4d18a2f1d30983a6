"""The ledger tells what a version was trained on: versions are pruned before their predictions are."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add a column, empty for what was promoted before."""
    op.add_column("ledger", sa.Column("data_digest", sa.String(64)))
