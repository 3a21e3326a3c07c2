"""Predictions of nodes, the greylist, and work that one process does at a time."""

import sqlalchemy as sa
from alembic import op

from runner.store.tables import UtcTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "predictions",
        sa.Column("id", _IDENTITY, nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("by", sa.String(length=16), nullable=False),
        sa.Column("tier", sa.String(length=16), nullable=False),
        sa.Column("expected", sa.Float(), nullable=True),
        sa.Column("soonest", sa.Float(), nullable=True),
        sa.Column("latest", sa.Float(), nullable=True),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictions")),
    )
    with op.batch_alter_table("predictions", schema=None) as batch_op:
        batch_op.create_index("ix_predictions_node_at", ["node", "at"], unique=False)
        batch_op.create_index("ix_predictions_at", ["at"], unique=False)
    op.create_table(
        "greylist",
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("tier", sa.String(length=16), nullable=False),
        sa.Column("joined_at", UtcTime(), nullable=True),
        sa.Column("since", UtcTime(), nullable=True),
        sa.Column("looked_at", UtcTime(), nullable=True),
        sa.Column("above_warning", sa.Float(), nullable=True),
        sa.Column("above_critical", sa.Float(), nullable=True),
        sa.Column("below_warning", sa.Float(), nullable=True),
        sa.Column("below_critical", sa.Float(), nullable=True),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("reminded_at", UtcTime(), nullable=True),
        sa.Column("settled_at", UtcTime(), nullable=True),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_greylist")),
    )
    op.create_table(
        "rounds",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("due_at", UtcTime(), nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_rounds")),
    )
