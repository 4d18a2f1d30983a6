"""The journal's tables. `migrations/` makes them; a test compares the two."""

import sqlalchemy as sa

tables = sa.MetaData()

predictions = sa.Table(
    "predictions",
    tables,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("prediction_id", sa.String(36), nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("model", sa.String(64), nullable=False),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("features", sa.Text, nullable=False),
    sa.Column("predicted_class", sa.String(255), nullable=False),
    sa.Column("probabilities", sa.Text, nullable=False),
    sa.Column("warnings", sa.Text, nullable=False),
    sa.Column("value", sa.Double),  # of a quantity; its class is empty then
    sa.Column("low", sa.Double),
    sa.Column("high", sa.Double),
    sa.Index("predictions_id", "prediction_id", unique=True),
    sa.Index("predictions_model_time", "model", "at_us"),
)
feedback = sa.Table(  # one row for each labelled prediction, with its present label
    "feedback",
    tables,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("prediction_id", sa.String(36), nullable=False),
    sa.Column("model", sa.String(64), nullable=False),
    sa.Column("label", sa.String(255), nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Double),  # the label of a quantity; `label` is its text
    sa.Column("by", sa.Text),
    sa.Index("feedback_prediction", "prediction_id", unique=True),
    sa.Index("feedback_model_seq", "model", "seq"),
    sqlite_autoincrement=True,  # or a corrected label could get the number of the label it replaced
)
corrections = sa.Table(  # labels that were replaced
    "corrections",
    tables,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("prediction_id", sa.String(36), nullable=False),
    sa.Column("label", sa.String(255), nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("replaced_us", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Double),
    sa.Column("by", sa.Text),
    sa.Index("corrections_prediction", "prediction_id"),
)
ledger = sa.Table(
    "ledger",
    tables,
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("from_version", sa.String(64)),
    sa.Column("to_version", sa.String(64), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("by", sa.String(64), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("is_rollback", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("data_digest", sa.String(64)),
)
_active = sa.text("status IN ('queued', 'running')")
runs = sa.Table(
    "runs",
    tables,
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
    sa.Index("runs_active", "model", unique=True, sqlite_where=_active, postgresql_where=_active),
    sa.Index("runs_model", "model", "run_id"),
)
workers = sa.Table(
    "workers",
    tables,
    sa.Column("host", sa.String(255), primary_key=True),
    sa.Column("worker", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("version", sa.String(64), nullable=False),
    sa.Column("since_us", sa.BigInteger, nullable=False),
    sa.Column("seen_us", sa.BigInteger, nullable=False),
)
rollups = sa.Table(  # counts of predictions by hour; the label is empty for predictions without one
    "rollups",
    tables,
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("hour_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("version", sa.String(64), primary_key=True),
    sa.Column("predicted_class", sa.String(255), primary_key=True),
    sa.Column("label", sa.String(255), primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
)
rollup_minutes = sa.Table(  # the same by minute, for the last day
    "rollup_minutes",
    tables,
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("minute_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("version", sa.String(64), primary_key=True),
    sa.Column("predicted_class", sa.String(255), primary_key=True),
    sa.Column("label", sa.String(255), primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Index("rollup_minutes_time", "minute_us"),
)
sums = sa.Table(  # by hour: totals beyond the counts, of the names that a kind of target has
    "sums",
    tables,
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("hour_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("version", sa.String(64), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("total", sa.BigInteger, nullable=False),
)
sum_minutes = sa.Table(  # the same by minute, for the last day
    "sum_minutes",
    tables,
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("minute_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("version", sa.String(64), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Index("sum_minutes_time", "minute_us"),
)
rollup_state = sa.Table(  # one row: the last counted prediction, and when the last turn began
    "rollup_state",
    tables,
    sa.Column("prediction_seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("turn_us", sa.BigInteger, nullable=False),
)
refusals = sa.Table(  # counts of refused requests by hour; the feature is empty unless one was invalid
    "refusals",
    tables,
    sa.Column("model", sa.String(64), primary_key=True),
    sa.Column("hour_us", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("reason", sa.String(64), primary_key=True),
    sa.Column("feature", sa.String(255), primary_key=True),
    sa.Column("requests", sa.BigInteger, nullable=False),
)
journal_format = sa.Table(  # one row: the oldest migration that a release must know to use the journal
    "journal_format",
    tables,
    sa.Column("min_reader", sa.Integer, primary_key=True, autoincrement=False),
)
