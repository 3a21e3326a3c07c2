"""The database: one SQLite file or PostgreSQL, its transactions and its schema version."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from runner import private
from runner.errors import ConfigError, StoreError
from runner.store.tables import metadata
from runner.store.turns import ENDING, ProcessQueue, WriterQueue

#: The newest migration in `migrations/versions`; `tests/store/test_store.py` compares.
HEAD = "0012"
#: Schema of the engine's own tables on PostgreSQL.
ENGINE_SCHEMA = "dbos"
#: How long a writer waits for another one before the store counts as down.
BUSY_SECONDS = 5
#: SQLSTATE of a write in a transaction that may only read.
READ_ONLY = "25006"
#: How long PostgreSQL waits for the next statement of a transaction that writes.
IDLE_SECONDS = 10
_THEN = "runner.then"  # what a connection's transaction is followed by


class Database:
    """Engine and transactions. All SQL of the runner goes through `read` and `write`."""

    def __init__(self, url: str, *, root: Path = Path()) -> None:
        """Open `url`; a relative SQLite file is seen from `root`. Connects when first used."""
        self.engine = _engine(url, root)
        self.sqlite = self.engine.dialect.name == "sqlite"
        self._turns = WriterQueue()
        self._processes = ProcessQueue(self.file) if self.file else None

    @property
    def file(self) -> Path | None:
        """The SQLite file; None on PostgreSQL."""
        name = self.engine.url.database
        return Path(name) if self.sqlite and name else None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for queries. Raises StoreError when the store cannot be used."""
        with _explained(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """One transaction, committed at the end. On SQLite it holds the write lock from its
        first statement on, so that what it reads is still true when it writes."""
        turn = self._turn() if self.sqlite else nullcontext()
        # A process that is frozen in here holds rows that every other writer needs.
        bounded = f"set local idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'"
        with turn, _explained(), self.engine.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE" if self.sqlite else bounded)
            then = connection.info[_THEN] = dict[Callable[[], None], None]()
            yield connection
        for call in then:
            call()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Among the threads of this process, and then among the processes of this file."""
        until = time.monotonic() + BUSY_SECONDS
        with self._turns.turn(BUSY_SECONDS):
            with self._processes.turn(until) if self._processes else nullcontext():
                yield

    def migrate(self) -> None:
        """Bring the schema to `HEAD`; does nothing, quickly, when it is there already."""
        if self.file is not None:
            _keep_private(self.file)
        with _explained():
            version = None
            with self.engine.connect() as connection:
                if sa.inspect(connection).has_table("alembic_version"):
                    query = sa.text("select version_num from alembic_version")
                    version = connection.execute(query).scalar()
            if version != HEAD:
                _upgrade(self.engine)

    def has_engine_tables(self) -> bool:
        """Whether the durable engine has made its tables here."""
        schema = None if self.sqlite else ENGINE_SCHEMA
        with _explained(), self.engine.connect() as connection:
            return sa.inspect(connection).has_table("workflow_status", schema=schema)

    def close(self) -> None:
        self.engine.dispose()
        if self._processes:
            # A thread may still be in its last write.
            with suppress(StoreError), self._turns.turn(BUSY_SECONDS):
                self._processes.close()


def after_commit(tx: sa.Connection, call: Callable[[], None]) -> None:
    """Have it called, once, when others can see what a `write` wrote; never when it is undone."""
    tx.info[_THEN][call] = None


def _engine(url: str, root: Path) -> sa.Engine:
    try:
        address = sa.make_url(url)
        if address.get_backend_name() == "sqlite":
            return _sqlite(address, root)
        if address.get_backend_name() == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
            return _postgresql(address)
    except (ArgumentError, NoSuchModuleError):
        pass
    except ModuleNotFoundError:
        raise ConfigError(
            "store.url: PostgreSQL needs psycopg; install remediation-runner[postgres]"
        ) from None
    raise ConfigError(
        "store.url: must be sqlite:///FILE or postgresql://USER@HOST/DATABASE"
    ) from None


def _postgresql(address: sa.URL) -> sa.Engine:
    engine = sa.create_engine(
        address,
        pool_size=10,
        max_overflow=70,
        pool_pre_ping=True,
        pool_timeout=BUSY_SECONDS,
    )

    @sa.event.listens_for(engine, "handle_error")
    def leave_read_only(context: sa.ExceptionContext) -> None:
        # A primary that became a standby: it answers every ping, and refuses every write.
        if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
            context.is_disconnect = True  # so that the whole pool connects anew

    return engine


def _sqlite(address: sa.URL, root: Path) -> sa.Engine:
    if not address.database or address.database == ":memory:":
        raise ConfigError("store.url: sqlite needs a file, as in sqlite:///var/runner.db")
    engine = sa.create_engine(
        address.set(database=str(root / address.database)),
        pool_size=10,
        max_overflow=70,
        pool_timeout=BUSY_SECONDS,
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        # DBOS shares this engine and relies on IMMEDIATE for its own writes.
        connection.isolation_level = "IMMEDIATE"
        connection.execute("PRAGMA journal_mode=WAL")
        # FULL: what was acknowledged with 2xx must survive a power cut (invariant 1).
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    return engine


def _keep_private(file: Path) -> None:
    """Make the file for its owner alone; what SQLite puts beside it is made like it."""
    try:
        private.make_folder(file.parent)
    except OSError as error:
        raise StoreError(f"{file.parent}: the folder cannot be made ({error.strerror})") from None
    if not file.exists():  # to open it and close it again would end this process' locks on it
        try:
            with open(file, "ab", opener=private.opener):
                pass
        except OSError:
            return  # SQLite says why, in the words that people look up
    for ending in ("", "-wal", "-shm", ENDING):
        private.tighten(file.with_name(file.name + ending))


def _upgrade(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "runner:store/migrations")
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            # Two processes that start at once must not both migrate.
            connection.exec_driver_sql("select pg_advisory_xact_lock(7242001)")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        if isinstance(error, sa.exc.IntegrityError | sa.exc.ProgrammingError | sa.exc.DataError):
            raise
        cause = getattr(error, "orig", None) or error
        raise StoreError(
            f"the store is unavailable: {' '.join(str(cause).split())[:200]}"
        ) from error


__all__ = ["BUSY_SECONDS", "HEAD", "Database", "SQLAlchemyError", "metadata"]


def insert(tx: sa.Connection, table: sa.Table) -> Any:
    """An insert into `table` that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    from sqlalchemy.dialects import postgresql, sqlite

    return (sqlite if tx.dialect.name == "sqlite" else postgresql).insert(table)
