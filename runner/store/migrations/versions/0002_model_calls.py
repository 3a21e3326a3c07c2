"""Calls of a model, the hosts of a decision, and the values that were chosen."""

import sqlalchemy as sa
from alembic import op

from runner.store.tables import UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "model_calls",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("incident", IDENTITY, nullable=True),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("round", sa.String(length=16), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), server_default="", nullable=False),
        sa.Column("prompt_hash", sa.String(length=64), nullable=False),
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), server_default="", nullable=False),
        sa.Column("failure", sa.String(length=24), nullable=True),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("input_tokens", sa.Integer(), server_default="0", nullable=False),
        sa.Column("output_tokens", sa.Integer(), server_default="0", nullable=False),
        sa.Column("money", sa.Float(), server_default="0", nullable=False),
        sa.Column("seconds", sa.Float(), server_default="0", nullable=False),
        sa.Column("requests", sa.Integer(), server_default="0", nullable=False),
        sa.Column("finish", sa.Text(), server_default="", nullable=False),
        sa.Column("reused", IDENTITY, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_calls")),
    )
    with op.batch_alter_table("model_calls", schema=None) as batch_op:
        batch_op.create_index("ix_model_calls_incident", ["incident"], unique=False)
        batch_op.create_index("ix_model_calls_at", ["at"], unique=False)
        batch_op.create_index("ix_model_calls_question", ["question"], unique=False)
    op.add_column("decisions", sa.Column("hosts", sa.JSON(), nullable=True))
    op.add_column("incidents", sa.Column("chosen", sa.JSON(), nullable=True))
