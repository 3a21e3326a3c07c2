"""Plans of several steps: where they act, what they are, and which step a run belongs to."""

import sqlalchemy as sa
from alembic import op

from runner.store.tables import UtcTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

host_locks = sa.table(
    "host_locks",
    sa.column("host", sa.String()),
    sa.column("run", sa.String()),
    sa.column("taken_at", UtcTime()),
)


def upgrade() -> None:
    op.add_column("plans", sa.Column("places", sa.JSON(), nullable=True))
    op.add_column("plans", sa.Column("steps", sa.JSON(), nullable=True))
    # SQLite changes a constraint by a new table and drops the old one, to which the host locks
    # refer: they step aside meanwhile.
    kept = op.get_bind().execute(sa.select(host_locks)).mappings().all()
    op.execute(host_locks.delete())
    with op.batch_alter_table("runs") as runs:
        runs.add_column(sa.Column("step", sa.Integer(), server_default="1", nullable=False))
        runs.drop_constraint(op.f("uq_runs_incident_purpose_attempt"), type_="unique")
        runs.create_unique_constraint(
            op.f("uq_runs_incident_purpose_attempt_step"),
            ["incident", "purpose", "attempt", "step"],
        )
    if kept:
        op.bulk_insert(host_locks, [dict(row) for row in kept])
