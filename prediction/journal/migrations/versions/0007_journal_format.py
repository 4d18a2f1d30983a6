"""The journal says which releases can use it: those that know the migration `min_reader`.

A migration adds tables, and columns that may be empty, and changes nothing else: earlier releases go on
working beside it. One that can't be so sets `min_reader` to its own number.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table, with one row."""
    journal_format = op.create_table(
        "journal_format", sa.Column("min_reader", sa.Integer, primary_key=True, autoincrement=False)
    )
    op.bulk_insert(journal_format, [{"min_reader": 6}])
