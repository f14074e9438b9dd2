"""The tables of the database of cases, as queries and the projection name them; the migrations make them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

META: Final = MetaData()
JSON_TYPE: Final = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

meta: Final = Table("meta", META, Column("name", Text, primary_key=True), Column("value", Text, nullable=False))
"""`height`: the journal height that the tables stand at."""

cases: Final = Table(
    "cases",
    META,
    Column("id", Text, primary_key=True),
    Column("lead", Text),  # the case that this file is part of, null for the case itself
    Column("account", Text),
    Column("seq", BigInteger, nullable=False),
    Column("opened", BigInteger, nullable=False),  # epoch ms, as every time here
    Column("updated", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("posterior", Float, nullable=False),
    Column("round", Integer, nullable=False),
    Column("assigned", Text),
    Column("due", BigInteger),
    Column("first_look_ms", BigInteger),
    Column("persons", BigInteger),
    Column("items", BigInteger),
    Column("row", JSON_TYPE),  # the whole row of cases.ndjson; null for a file that is part of another case
    Column("digest", Text, nullable=False),
    Index("cases_status", "status", "due"),
    Index("cases_lead", "lead"),
)
"""The last state of each case, and of each file that became part of one."""

history: Final = Table(
    "history",
    META,
    Column("case_id", Text, primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("what", Text, nullable=False),
    Column("said_by", Text, nullable=False),  # "" for what follows from evidence
    Column("round", Integer, nullable=False),
    Column("detail", JSON_TYPE, nullable=False),
    Index("history_seq", "seq"),
)
"""Everything that happened to a case, append-only: triggers refuse to change or delete a row."""

parties: Final = Table(
    "parties",
    META,
    Column("case_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),  # account or device
    Column("name", Text, primary_key=True),
    Index("parties_name", "kind", "name"),
)
"""Accounts and devices of each case."""

links: Final = Table(
    "links",
    META,
    Column("case_id", Text, primary_key=True),
    Column("other", Text, primary_key=True),
    Column("why", Text, primary_key=True),  # merged, device or line
)
"""Files that are part of a case, and other cases that may belong to it."""
