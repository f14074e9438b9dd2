"""The database of cases: a projection of the book for queries and other tools, on SQLite or PostgreSQL; the journal is the truth."""
