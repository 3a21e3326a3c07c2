"""Incidents that are held back for a time, and questions that are asked more than once."""

import sqlalchemy as sa
from alembic import op

from runner.store.tables import UtcTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.add_column(sa.Column("holds", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("held_since", UtcTime(), nullable=True))
        batch_op.add_column(sa.Column("held_until", UtcTime(), nullable=True))
        batch_op.create_index("ix_incidents_held_until", ["held_until"], unique=False)
    with op.batch_alter_table("approvals", schema=None) as batch_op:
        batch_op.add_column(sa.Column("asked", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("shown", sa.JSON(), nullable=True))
        batch_op.drop_constraint(op.f("uq_approvals_incident_plan"), type_="unique")
        batch_op.create_unique_constraint(
            op.f("uq_approvals_incident_plan_asked"), ["incident", "plan", "asked"]
        )
    _close_questions_of_what_has_ended()


def _close_questions_of_what_has_ended() -> None:
    """From now on a question is closed with its incident; those of before are closed here."""
    op.execute(
        "update approvals set answer = 'closed', answered_by = 'runner', "
        "answered_at = CURRENT_TIMESTAMP, comment = 'its incident has ended' "
        "where answer is null and incident in (select id from incidents where state in "
        "('suppressed', 'observed', 'dry_run', 'denied', 'expired', 'cancelled', 'drilled', "
        "'resolved', 'fixed', 'escalated'))"
    )
