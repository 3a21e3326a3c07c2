"""The blast radius, what a plan is made of by name, and what a question says of its entry."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "blast_radii",
        sa.Column(
            "incident",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("radius", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("incident", name=op.f("pk_blast_radii")),
    )
    op.add_column("plans", sa.Column("files", sa.JSON(), nullable=True))
    op.add_column("plans", sa.Column("inventory", sa.JSON(), nullable=True))
    op.add_column("runs", sa.Column("seen", sa.JSON(), nullable=True))
    op.add_column("approvals", sa.Column("brief", sa.JSON(), nullable=True))
