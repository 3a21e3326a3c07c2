"""What Ansible loads for a plan beside its files, and what a dry run was seen to load."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("plans", schema=None) as batch_op:
        batch_op.add_column(sa.Column("loaded", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("uncovered", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("key", sa.String(length=32), nullable=True))
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("loaded", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("included", sa.JSON(), nullable=True))
