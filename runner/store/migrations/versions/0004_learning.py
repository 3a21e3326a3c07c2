"""What is learned: feedback, settings of autonomy, clearings, spent budgets, and the memory."""

import sqlalchemy as sa
from alembic import op

from runner.store.tables import UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

IDENTITY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

#: What happened before there was a memory: the labels as JSON have the same words.
WORDS = """
alertname || ' ' || coalesce(entry, '') || ' ' || state || ' ' || reason || ' '
|| cast(alert as text)
"""
REMEMBER = """
insert into memory (incident, text)
select id, {words} from incidents
where state in ('observed', 'dry_run', 'denied', 'expired', 'cancelled', 'resolved', 'fixed',
                'escalated')
"""

SQLITE = (
    "create virtual table memory_index using fts5"
    "(text, content='memory', content_rowid='incident')",
    """create trigger memory_added after insert on memory begin
         insert into memory_index (rowid, text) values (new.incident, new.text);
       end""",
    """create trigger memory_removed after delete on memory begin
         insert into memory_index (memory_index, rowid, text)
         values ('delete', old.incident, old.text);
       end""",
    """create trigger memory_changed after update on memory begin
         insert into memory_index (memory_index, rowid, text)
         values ('delete', old.incident, old.text);
         insert into memory_index (rowid, text) values (new.incident, new.text);
       end""",
)

POSTGRESQL = (
    "create index ix_memory_words on memory using gin (to_tsvector('simple'::regconfig, text))",
)


def upgrade() -> None:
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cleared_at", UtcTime(), nullable=True))
    _people()
    _levels()
    op.create_table(
        "memory",
        sa.Column("incident", IDENTITY, autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("incident", name=op.f("pk_memory")),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    # SQLite's index takes words out of any text; PostgreSQL's would see paths and hosts in it.
    words = WORDS if sqlite else f"regexp_replace({WORDS}, '[^[:alnum:]]+', ' ', 'g')"
    for statement in (*(SQLITE if sqlite else POSTGRESQL), REMEMBER.format(words=words)):
        op.execute(sa.text(statement.replace(":", r"\:")))


def _people() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", IDENTITY, nullable=False),
        sa.Column("incident", IDENTITY, nullable=False),
        sa.Column("right", sa.Boolean(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
    )
    op.create_index("ix_feedback_incident", "feedback", ["incident"], unique=False)
    op.create_table(
        "autonomy_settings",
        sa.Column("id", IDENTITY, nullable=False),
        *_key(),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("hold", sa.Boolean(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_autonomy_settings")),
    )
    op.create_index("ix_autonomy_settings_entry", "autonomy_settings", ["entry"], unique=False)


def _levels() -> None:
    op.create_table(
        "autonomy_noted",
        *_key(),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        _primary("autonomy_noted"),
    )
    op.create_table(
        "clearings",
        *_key(),
        sa.Column("cleared", sa.Integer(), nullable=False),
        sa.Column("stayed", sa.Integer(), nullable=False),
        sa.Column("delay_seconds", sa.Integer(), nullable=False),
        sa.Column("within_seconds", sa.Integer(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        _primary("clearings"),
    )
    op.create_table(
        "budgets_spent",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_budgets_spent")),
    )


def _key() -> list[sa.Column[str]]:
    return [
        sa.Column("entry", sa.String(length=64), nullable=False),
        sa.Column("alertname", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
    ]


def _primary(table: str) -> sa.PrimaryKeyConstraint:
    name = op.f(f"pk_{table}")
    return sa.PrimaryKeyConstraint("entry", "alertname", "environment", name=name)
