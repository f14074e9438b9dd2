"""Alembic migrations of the database of cases; run by `casedb.migrate`."""
