"""Every table of the runner. DBOS keeps its own beside them in the same database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)


class UtcTime(TypeDecorator[datetime]):
    """A timezone-aware UTC time; SQLite, which knows no zones, keeps it naive."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Identity = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: What arrived, as it arrived. `admitted` counts how many of its alerts were looked at.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("received_at", UtcTime, nullable=False),
    Column("source", String(16), nullable=False),
    Column("ceiling", String(16), nullable=False),
    Column("sender", Text),
    Column("body", LargeBinary, nullable=False),
    Column("alerts", Integer, nullable=False),
    Column("admitted", Integer, nullable=False, server_default="0"),
    Column("done", Boolean, nullable=False, server_default=text("false")),
    # The host and the urgency that all of its alerts share; null when they differ.
    Column("place", Text),
    Column("urgency", Integer),
    # For PostgreSQL its migration says the same: a condition of a dialect loads that dialect, and
    # PostgreSQL's costs every command a tenth of its time.
    Index("ix_deliveries_open", "id", sqlite_where=text("not done")),
)

#: What could not be read: whole bodies, and single alerts of bodies whose others were stored.
dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("received_at", UtcTime, nullable=False),
    Column("last_at", UtcTime, nullable=False),
    Column("times", Integer, nullable=False, server_default="1"),
    Column("source", String(16), nullable=False),
    Column("sender", Text, nullable=False, server_default=""),
    Column("ceiling", String(16), nullable=False),
    Column("delivery", Identity),
    Column("position", Integer),
    Column("reason", Text, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("replayed_at", UtcTime),
    Column("replayed_by", Text),
    Column("replayed_as", Identity),
    Index("ix_dead_letters_hash", "hash"),
)

#: What we know of each alert's firing, by its fingerprint: see `runner.incident.firing`.
firings = Table(
    "firings",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("fires", Boolean, nullable=False, server_default=text("false")),
    Column("told", JSON, nullable=False),
    Column("ended", JSON, nullable=False),
    Column("quiet_at", UtcTime),
    Column("heard_at", UtcTime),
    Column("listed_at", UtcTime),
    Column("pause_seconds", Float, nullable=False, server_default="0"),
    Column("gone", Boolean, nullable=False, server_default=text("false")),
    Column("looks", Integer, nullable=False, server_default="0"),
    Column("again_at", UtcTime),
    Column("changed_at", UtcTime, nullable=False),
    Index("ix_firings_again_at", "again_at"),
    Index("ix_firings_changed_at", "changed_at"),
)

#: What other senders call a firing, until it is resolved: see `runner.store.sender_ids`.
sender_ids = Table(
    "sender_ids",
    metadata,
    Column("source", String(16), primary_key=True),
    Column("id", String(128), primary_key=True),
    Column("fingerprint", String(64), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Index("ix_sender_ids_at", "at"),
)

#: One row per activation of an alert, whatever the number of deliveries. `activation` is when
#: it began by our clock.
incidents = Table(
    "incidents",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("activation", UtcTime, nullable=False),
    Column("alertname", Text, nullable=False),
    Column("alert", JSON, nullable=False),
    Column("firing", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("ceiling", String(16), nullable=False),
    Column("sender", Text),
    Column("requested_by", Text),
    Column("request", JSON),
    Column("hosts", JSON, nullable=False),
    Column("part", String(255)),
    Column("entry", String(64)),
    Column("chosen", JSON),
    Column("level", String(16)),
    Column("joined", Identity),
    Column("deliveries", Integer, nullable=False, server_default="1"),
    Column("delivery", Identity),
    Column("cancel_requested", Boolean, nullable=False, server_default=text("false")),
    Column("cleared_at", UtcTime),
    Column("holds", Integer, nullable=False, server_default="0"),
    Column("held_since", UtcTime),
    Column("held_until", UtcTime),
    Column("woken_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("fingerprint", "activation"),
    Index("ix_incidents_state", "state"),
    Index("ix_incidents_joined", "joined"),
    Index("ix_incidents_alertname", "alertname"),
    Index("ix_incidents_updated_at", "updated_at"),
    Index("ix_incidents_held_until", "held_until"),
)

#: Workflows that wait for their turn, or that a worker has begun; gone when they have ended.
waiting = Table(
    "waiting",
    metadata,
    Column("number", Identity, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("workflow", String(16), nullable=False),
    Column("incident", Identity, nullable=False),
    Column("round", Integer),
    Column("place", Text, nullable=False),
    Column("urgency", Integer, nullable=False),
    Column("stage", Integer, nullable=False),
    Column("ready_at", UtcTime, nullable=False),
    Column("worker", String(64)),
    Column("begun_at", UtcTime),
    UniqueConstraint("key"),
    Index("ix_waiting_turn", "worker", "place", "urgency", "stage", "number"),
)

#: The audit log: hash-chained, append-only.
transitions = Table(
    "transitions",
    metadata,
    Column("sequence", Identity, primary_key=True, autoincrement=False),
    Column("incident", Identity),
    Column("at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(32), nullable=False),
    Column("previous", String(32)),
    Column("reason", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_transitions_incident", "incident"),
)

#: One row: both ends of the chain, and how far receivers were told.
chain = Table(
    "chain",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("first", Identity, nullable=False),
    Column("before", String(64), nullable=False),
    Column("last", Identity, nullable=False),
    Column("head", String(64), nullable=False),
    Column("notified", Identity, nullable=False, server_default="0"),
)

evidence = Table(
    "evidence",
    metadata,
    Column("incident", Identity, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("source", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("incident", Identity, primary_key=True),
    Column("decider", String(64), primary_key=True),
    Column("entry", String(64)),
    Column("reason", Text, nullable=False),
    Column("values", JSON, nullable=False),
    Column("cited", JSON, nullable=False),
    Column("confidence", JSON, nullable=False),
    Column("alternatives", JSON, nullable=False),
    Column("hosts", JSON),
)

#: The latest verdict of an incident, with every reason.
verdicts = Table(
    "verdicts",
    metadata,
    Column("incident", Identity, primary_key=True),
    Column("level", String(16), nullable=False),
    Column("reasons", JSON, nullable=False),
)

plans = Table(
    "plans",
    metadata,
    Column("incident", Identity, primary_key=True),
    Column("entry", String(64), nullable=False),
    Column("hosts", JSON, nullable=False),
    Column("delegates", JSON, nullable=False),
    Column("variables", JSON, nullable=False),
    Column("content", String(64), nullable=False),
    Column("diff", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("files", JSON),
    Column("inventory", JSON),
    Column("places", JSON),
    Column("steps", JSON),
    Column("loaded", JSON),
    Column("uncovered", JSON),
    Column("key", String(32)),
)

#: What the run can touch and what stays meanwhile, as policy saw it with the latest verdict.
blast_radii = Table(
    "blast_radii",
    metadata,
    Column("incident", Identity, primary_key=True),
    Column("radius", JSON, nullable=False),
)

#: The intent is the row; the outcome comes later. Never deleted while open.
runs = Table(
    "runs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("incident", Identity, nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("step", Integer, nullable=False, server_default="1"),
    Column("entry", String(64), nullable=False),
    Column("hosts", JSON, nullable=False),
    Column("part", String(255)),
    Column("plan", String(64)),
    Column("worker", String(64), nullable=False),
    Column("artifacts", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("deadline", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("outcome", String(24)),
    Column("reason", Text, nullable=False, server_default=""),
    Column("stats", JSON),
    Column("results", JSON),
    Column("diff", Text, nullable=False, server_default=""),
    Column("diff_hash", String(64), nullable=False, server_default=""),
    Column("fidelity", JSON),
    Column("seen", JSON),
    Column("loaded", JSON),
    Column("included", JSON),
    UniqueConstraint("incident", "purpose", "attempt", "step"),
    Index("ix_runs_started_at", "started_at"),
    Index("ix_runs_entry", "entry"),
)

#: The host lock: a row per host while a run may be touching it. `part` is the only part of the
#: host that the run acts on, and empty where that is the whole host. Several rows of one host are
#: of parts that are known to be apart; who takes the lock checks that.
host_locks = Table(
    "host_locks",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("part", String(255), primary_key=True, server_default=""),
    Column("run", String(32), ForeignKey("runs.id"), nullable=False),
    Column("taken_at", UtcTime, nullable=False),
    Index("ix_host_locks_run", "run"),
)

verifications = Table(
    "verifications",
    metadata,
    Column("run", String(32), primary_key=True),
    Column("incident", Identity, nullable=False),
    Column("result", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("checks", JSON, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_verifications_incident", "incident"),
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("incident", Identity, nullable=False),
    Column("plan", String(64), nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("answer", String(16)),
    Column("answered_by", Text),
    Column("answered_at", UtcTime),
    Column("comment", Text, nullable=False, server_default=""),
    Column("brief", JSON),
    Column("asked", Integer, nullable=False, server_default="1"),
    Column("shown", JSON),
    UniqueConstraint("incident", "plan", "asked"),
)

#: The outbox: one row per transition and receiver that has to be told.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("transition", Identity, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Column("failed", Text),
    Column("digest", Identity),  # the transition whose message told of it, with many others
    UniqueConstraint("transition", "receiver"),
    Index("ix_notifications_due_at", "due_at"),
)

#: Receivers that are being told of a storm: too much happens for a message each.
storms = Table(
    "storms",
    metadata,
    Column("receiver", Text, primary_key=True),
    Column("began_at", UtcTime, nullable=False),
    Column("told_at", UtcTime, nullable=False),
)

#: Every call of a model, kept before it is made. `incident` is null for questions of people.
model_calls = Table(
    "model_calls",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("incident", Identity),
    Column("at", UtcTime, nullable=False),
    Column("round", String(16), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False, server_default=""),
    Column("prompt_hash", String(64), nullable=False),
    Column("question", String(64), nullable=False),
    Column("prompt", Text, nullable=False),
    Column("answer", Text, nullable=False, server_default=""),
    Column("failure", String(24)),
    Column("detail", Text, nullable=False, server_default=""),
    Column("input_tokens", Integer, nullable=False, server_default="0"),
    Column("output_tokens", Integer, nullable=False, server_default="0"),
    Column("money", Float, nullable=False, server_default="0"),
    Column("seconds", Float, nullable=False, server_default="0"),
    Column("requests", Integer, nullable=False, server_default="0"),
    Column("finish", Text, nullable=False, server_default=""),
    Column("reused", Identity),
    Index("ix_model_calls_incident", "incident"),
    Index("ix_model_calls_at", "at"),
    Index("ix_model_calls_question", "question"),
)

#: Switches that people throw at run time: `pause`.
switches = Table(
    "switches",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)

#: Who works on this database. Dead rows stay: a row marked dead never works again.
workers = Table(
    "workers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("host", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("beat_at", UtcTime, nullable=False),
    Column("dead_at", UtcTime),
)

#: What people said of incidents; the newest word on an incident counts.
feedback = Table(
    "feedback",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("incident", Identity, nullable=False),
    Column("right", Boolean, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_feedback_incident", "incident"),
)

#: Levels that people gave to a record. Never removed: a hold lasts.
autonomy_settings = Table(
    "autonomy_settings",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("entry", String(64), nullable=False),
    Column("alertname", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("level", String(16), nullable=False),
    Column("hold", Boolean, nullable=False),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_autonomy_settings_entry", "entry"),
)

#: The level of each record that the audit log has last; levels are computed, not kept.
autonomy_noted = Table(
    "autonomy_noted",
    metadata,
    Column("entry", String(64), primary_key=True),
    Column("alertname", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("level", String(16), nullable=False),
    Column("at", UtcTime, nullable=False),
)

#: How many firings that nobody touched ended by themselves, as last measured.
clearings = Table(
    "clearings",
    metadata,
    Column("entry", String(64), primary_key=True),
    Column("alertname", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("cleared", Integer, nullable=False),
    Column("stayed", Integer, nullable=False),
    Column("delay_seconds", Integer, nullable=False),
    Column("within_seconds", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)

#: Error budgets that are spent, as the audit log has it.
budgets_spent = Table(
    "budgets_spent",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at", UtcTime, nullable=False),
)

#: Words of incidents that have ended. On SQLite triggers keep `memory_index` (FTS5) the same;
#: on PostgreSQL `ix_memory_words` is an index of the words.
memory = Table(
    "memory",
    metadata,
    Column("incident", Identity, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
)

#: What was said of a node, and what came of it. A row when the tier changed, and some between.
predictions = Table(
    "predictions",
    metadata,
    Column("id", Identity, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("node", String(255), nullable=False),
    Column("by", String(16), nullable=False),
    Column("tier", String(16), nullable=False),
    Column("expected", Float),
    Column("soonest", Float),
    Column("latest", Float),
    Column("reasons", JSON, nullable=False),
    Column("findings", JSON, nullable=False),
    Column("outcome", String(16)),
    Index("ix_predictions_node_at", "node", "at"),
    Index("ix_predictions_at", "at"),
)

#: Where each node stands that is not quietly healthy: on the greylist, or on its way there.
greylist = Table(
    "greylist",
    metadata,
    Column("node", String(255), primary_key=True),
    Column("tier", String(16), nullable=False),
    Column("joined_at", UtcTime),
    Column("since", UtcTime),
    Column("looked_at", UtcTime),
    Column("above_warning", Float),
    Column("above_critical", Float),
    Column("below_warning", Float),
    Column("below_critical", Float),
    Column("why", Text, nullable=False, server_default=""),
    Column("reminded_at", UtcTime),
    Column("settled_at", UtcTime),
    Column("settled_by", Text),
)

#: Work that one process of many does at a time: claimed by pushing its time on.
rounds = Table(
    "rounds",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("due_at", UtcTime, nullable=False),
    Column("note", Text, nullable=False, server_default=""),
)
