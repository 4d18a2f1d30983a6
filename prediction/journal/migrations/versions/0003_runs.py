"""The retrainings, of which a model has at most one that is queued or running; rollbacks."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table of runs."""
    op.create_table(
        "runs",
        sa.Column("run_id", sa.String(36), primary_key=True),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("step", sa.String(255), nullable=False),
        sa.Column("progress", sa.Float, nullable=False),
        sa.Column("force", sa.Boolean, nullable=False),
        sa.Column("cancel", sa.Boolean, nullable=False),
        sa.Column("requested_us", sa.BigInteger, nullable=False),
        sa.Column("beat_us", sa.BigInteger, nullable=False),
        sa.Column("finished_us", sa.BigInteger),
        sa.Column("candidate", sa.String(64)),
        sa.Column("rows", sa.Text),
        sa.Column("verdict", sa.Text),
    )
    active = sa.text("status IN ('queued', 'running')")
    op.create_index(
        "runs_active", "runs", ["model"], unique=True, sqlite_where=active, postgresql_where=active
    )
    op.add_column("ledger", sa.Column("is_rollback", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_index("runs_model", "runs", ["model", "run_id"])
