"""Cases and their append-only history, whose rows nobody may change or delete: triggers refuse it, in both databases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "v0001"
down_revision = None
branch_labels = None
depends_on = None

_REFUSED = "the history of cases is append-only"
_SQLITE = (
    f"create trigger history_keeps_rows before update on history begin select raise(abort, '{_REFUSED}'); end",
    f"create trigger history_keeps_all before delete on history begin select raise(abort, '{_REFUSED}'); end",
    f"""create trigger history_keeps_first before insert on history
    when exists (select 1 from history where case_id = new.case_id and n = new.n)
    begin select raise(abort, '{_REFUSED}'); end""",  # "insert or replace" deletes without asking the trigger above
)
_POSTGRES = (
    f"""create function watchbill_history_keeps() returns trigger language plpgsql as
    $$ begin raise exception '{_REFUSED}'; end $$""",
    """create trigger history_keeps_rows before update or delete on history
    for each row execute function watchbill_history_keeps()""",
    """create trigger history_keeps_all before truncate on history
    for each statement execute function watchbill_history_keeps()""",
)


def upgrade() -> None:
    """Make the tables and the triggers."""
    json = sa.JSON().with_variant(JSONB(), "postgresql")
    op.create_table("meta", sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))
    op.create_table(
        "cases",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("lead", sa.Text),
        sa.Column("account", sa.Text),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("seq", "opened", "updated")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("status", "kind")),
        sa.Column("posterior", sa.Float, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("assigned", sa.Text),
        *(sa.Column(name, sa.BigInteger) for name in ("due", "first_look_ms", "persons", "items")),
        sa.Column("row", json),
        sa.Column("digest", sa.Text, nullable=False),
    )
    op.create_index("cases_status", "cases", ["status", "due"])
    op.create_index("cases_lead", "cases", ["lead"])
    op.create_table(
        "history",
        sa.Column("case_id", sa.Text, primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in ("seq", "time")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("what", "said_by")),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("detail", json, nullable=False),
    )
    op.create_index("history_seq", "history", ["seq"])
    for statement in _POSTGRES if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)


def downgrade() -> None:
    """Drop what `upgrade` made; only a rebuild from the journal does this."""
    for table in ("history", "cases", "meta"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("drop function watchbill_history_keeps()")
