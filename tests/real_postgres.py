"""A real PostgreSQL for tests: its own cluster in a temporary folder, on a socket only."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from runner import engine
from runner.store.database import Database


@dataclass(frozen=True)
class Server:
    """A running cluster. Databases are made from nothing and go with it."""

    folder: Path
    binaries: Path

    def url(self, database: str) -> str:
        return f"postgresql://runner@/{database}?host={self.folder}"

    def new_store(self) -> str:
        """The URL of a new, empty store at the newest schema: a copy of one that is kept."""
        return self.url(self._create("--template", self._empty))

    def restored(self, dump: Path) -> str:
        """The URL of a new store that is filled from a file of `pg_dump`."""
        name = self._create()
        copy = self.folder / dump.name  # the cluster's user may not read the checkout
        copy.write_bytes(dump.read_bytes())
        copy.chmod(0o644)
        arguments = ("-h", str(self.folder), "-U", "runner", "-v", "ON_ERROR_STOP=1", "-q")
        self.run("psql", *arguments, "-d", name, "-f", str(copy))
        return self.url(name)

    @cached_property
    def _empty(self) -> str:
        name = self._create()
        database = Database(self.url(name))
        engine.migrate(database)
        database.close()
        return name

    def _create(self, *arguments: str) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.run("createdb", "-h", str(self.folder), "-U", "runner", *arguments, name)
        return name

    def run(self, program: str, *arguments: str) -> None:
        command = [*_as_user(), str(self.binaries / program), *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=60)

    def control(self, *arguments: str) -> None:
        """`pg_ctl` on this cluster: start, stop -m immediate, restart …"""
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off -c wal_level=logical"
        self.run(
            "pg_ctl", "-D", str(self.folder / "data"), "-w", "-o", options,
            "-l", str(self.folder / "log"), *arguments,
        )  # fmt: skip


def binaries() -> Path | None:
    """Where Debian keeps the server's programs; None when it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    path = shutil.which("initdb")
    return found[-1].parent if found else Path(path).parent if path else None


def _as_user() -> list[str]:
    """PostgreSQL refuses to run as root, so root becomes the package's own user."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@contextmanager
def server() -> Iterator[Server]:
    """A cluster for the time of a test session; skips where there is no PostgreSQL."""
    found = binaries()
    if found is None:
        message = "PostgreSQL is not installed (apt install postgresql)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    with tempfile.TemporaryDirectory(prefix="runner-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
        cluster = Server(folder, found)
        cluster.run("initdb", "-D", str(folder / "data"), "-U", "runner", "-A", "trust", "-N")
        cluster.control("start")
        try:
            yield cluster
        finally:
            cluster.control("stop", "-m", "immediate")
