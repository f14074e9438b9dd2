"""Who and what stands in each case, and which cases hang together, as tables of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "v0002"
down_revision = "v0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; cases are written anew by the next projection, which fills them."""
    op.create_table("parties", *(sa.Column(name, sa.Text, primary_key=True) for name in ("case_id", "kind", "name")))
    op.create_index("parties_name", "parties", ["kind", "name"])
    op.create_table("links", *(sa.Column(name, sa.Text, primary_key=True) for name in ("case_id", "other", "why")))
    op.execute("update cases set digest = ''")


def downgrade() -> None:
    """Drop the tables."""
    op.drop_table("links")
    op.drop_table("parties")
