"""Runs the migrations on the connection that `database.Journal.migrate` lends, in its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
