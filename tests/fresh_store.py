"""An empty SQLite store at the newest schema, made once a process and copied.

Making one takes longer than most tests use it for; how it is made is tested in test_store.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from runner import engine
from runner.store.database import Database


def place(path: Path) -> str:
    """Put an empty store there, and its folder where it is missing; returns its URL."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():  # a second process on one project
        shutil.copy(_made(), path)
    return f"sqlite:///{path}"


@functools.cache
def _made() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="store"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    database = Database(f"sqlite:///{folder / 'empty.db'}")
    engine.migrate(database)
    database.close()
    return folder / "empty.db"
