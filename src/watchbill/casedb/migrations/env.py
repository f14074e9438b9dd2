"""Alembic asks this file how to run: on the connection that `casedb.migrate` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from watchbill.casedb.schema import META

context.configure(connection=context.config.attributes["connection"], target_metadata=META)
context.run_migrations()
