"""Turns around hosts, alerts that wake once, and storms that are told in one message."""

import sqlalchemy as sa
from alembic import op

from runner.store.tables import UtcTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("place", sa.Text(), nullable=True))
    op.add_column("deliveries", sa.Column("urgency", sa.Integer(), nullable=True))
    op.add_column("incidents", sa.Column("woken_at", UtcTime(), nullable=True))
    op.add_column("outbox", sa.Column("digest", _IDENTITY, nullable=True))
    op.create_table(
        "storms",
        sa.Column("receiver", sa.Text(), nullable=False),
        sa.Column("began_at", UtcTime(), nullable=False),
        sa.Column("told_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("receiver", name=op.f("pk_storms")),
    )
    op.create_table(
        "waiting",
        sa.Column("number", _IDENTITY, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("workflow", sa.String(length=16), nullable=False),
        sa.Column("incident", _IDENTITY, nullable=False),
        sa.Column("round", sa.Integer(), nullable=True),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("urgency", sa.Integer(), nullable=False),
        sa.Column("stage", sa.Integer(), nullable=False),
        sa.Column("ready_at", UtcTime(), nullable=False),
        sa.Column("worker", sa.String(length=64), nullable=True),
        sa.Column("begun_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_waiting")),
        sa.UniqueConstraint("key", name=op.f("uq_waiting_key")),
    )
    with op.batch_alter_table("waiting", schema=None) as batch_op:
        batch_op.create_index(
            "ix_waiting_turn", ["worker", "place", "urgency", "stage", "number"], unique=False
        )
