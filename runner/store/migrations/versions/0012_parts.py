"""Parts of hosts: what of a host an incident is about, a run acts on, and a lock is held of.

Rows of before are of whole hosts.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("incidents", sa.Column("part", sa.String(length=255), nullable=True))
    op.add_column("runs", sa.Column("part", sa.String(length=255), nullable=True))
    with op.batch_alter_table("host_locks", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("part", sa.String(length=255), server_default="", nullable=False)
        )
        batch_op.drop_constraint(op.f("pk_host_locks"), type_="primary")
        batch_op.create_primary_key(op.f("pk_host_locks"), ["host", "part"])
