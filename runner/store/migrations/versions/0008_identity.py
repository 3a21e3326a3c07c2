"""Our own record of what fires, who delivered it, and what could not be read."""

import sqlalchemy as sa
from alembic import op

from runner.store.tables import UtcTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_PIECE = 500


def upgrade() -> None:
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("sender", sa.Text(), nullable=True))
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.add_column(sa.Column("sender", sa.Text(), nullable=True))
    op.create_table(
        "dead_letters",
        sa.Column("id", _IDENTITY, nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.Column("last_at", UtcTime(), nullable=False),
        sa.Column("times", sa.Integer(), server_default="1", nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("sender", sa.Text(), server_default="", nullable=False),
        sa.Column("ceiling", sa.String(length=16), nullable=False),
        sa.Column("delivery", _IDENTITY, nullable=True),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("replayed_at", UtcTime(), nullable=True),
        sa.Column("replayed_by", sa.Text(), nullable=True),
        sa.Column("replayed_as", _IDENTITY, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
    )
    with op.batch_alter_table("dead_letters", schema=None) as batch_op:
        batch_op.create_index("ix_dead_letters_hash", ["hash"], unique=False)
    op.create_table(
        "firings",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("fires", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.Column("ended", sa.JSON(), nullable=False),
        sa.Column("quiet_at", UtcTime(), nullable=True),
        sa.Column("heard_at", UtcTime(), nullable=True),
        sa.Column("listed_at", UtcTime(), nullable=True),
        sa.Column("pause_seconds", sa.Float(), server_default="0", nullable=False),
        sa.Column("gone", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("looks", sa.Integer(), server_default="0", nullable=False),
        sa.Column("again_at", UtcTime(), nullable=True),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_firings")),
    )
    with op.batch_alter_table("firings", schema=None) as batch_op:
        batch_op.create_index("ix_firings_again_at", ["again_at"], unique=False)
        batch_op.create_index("ix_firings_changed_at", ["changed_at"], unique=False)
    _carry_over()


def _carry_over() -> None:
    """What the newest incident of each alert knows, so that no firing alert is taken for new."""
    utc = UtcTime()
    incidents = sa.table(
        "incidents",
        sa.column("id", _IDENTITY),
        sa.column("fingerprint", sa.String()),
        sa.column("alert", sa.JSON()),
        sa.column("firing", sa.Boolean()),
        sa.column("requested_by", sa.Text()),
        sa.column("cleared_at", utc),
        sa.column("created_at", utc),
        sa.column("updated_at", utc),
    )
    firings = sa.table(
        "firings",
        sa.column("fingerprint", sa.String()),
        sa.column("fires", sa.Boolean()),
        sa.column("told", sa.JSON()),
        sa.column("ended", sa.JSON()),
        sa.column("quiet_at", utc),
        sa.column("heard_at", utc),
        sa.column("changed_at", utc),
    )
    newest = (
        sa.select(sa.func.max(incidents.c.id))
        .where(incidents.c.requested_by.is_(None))
        .group_by(incidents.c.fingerprint)
    )
    tx = op.get_bind()
    found = tx.execute(sa.select(incidents).where(incidents.c.id.in_(newest))).mappings().all()
    rows = [
        {
            "fingerprint": row["fingerprint"],
            "fires": bool(row["firing"]),
            "told": {row["alert"]["starts_at"]: row["created_at"].isoformat()}
            if row["firing"]
            else {},
            "ended": [] if row["firing"] else [row["alert"]["starts_at"]],
            "quiet_at": row["cleared_at"],
            "heard_at": row["updated_at"],
            "changed_at": row["updated_at"],
        }
        for row in found
    ]
    for begin in range(0, len(rows), _PIECE):
        tx.execute(firings.insert(), rows[begin : begin + _PIECE])
