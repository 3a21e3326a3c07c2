"""What other senders call a firing, so that their "resolved" finds it."""

import sqlalchemy as sa
from alembic import op

from runner.store.tables import UtcTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sender_ids",
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("source", "id", "fingerprint", name=op.f("pk_sender_ids")),
    )
    op.create_index("ix_sender_ids_at", "sender_ids", ["at"])
