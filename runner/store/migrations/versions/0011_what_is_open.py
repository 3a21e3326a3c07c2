"""Indexes of what is looked for each second: runs without an outcome, and what was not sent."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, table, column, where in (
        ("ix_runs_open", "runs", "deadline", "outcome IS NULL"),
        ("ix_outbox_unsent", "outbox", "due_at", "sent_at IS NULL AND failed IS NULL"),
    ):
        only = sa.text(where)
        op.create_index(name, table, [column], sqlite_where=only, postgresql_where=only)
