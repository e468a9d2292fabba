"""What Alembic runs: the migrations, in the transaction that `run.upgrade` opened."""

from alembic import context

from sabir.storage import schema

context.configure(connection=context.config.attributes["connection"], target_metadata=schema.metadata)
context.run_migrations()
