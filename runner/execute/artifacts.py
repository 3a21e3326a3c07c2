"""What runs left behind goes once it is old enough; the rows of the store stay."""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

_RUN = re.compile(r"[0-9a-f]{8,64}")


def forget(artifacts: Path, before: datetime, keep: Collection[str], limit: int = 500) -> int:
    """Remove the folders of runs that were last written to before then; how many.

    Those of `keep` stay: what became of them may have to be found out yet.
    """
    gone = 0
    for folder in sorted(artifacts.iterdir()) if artifacts.is_dir() else ():
        if gone == limit:
            break
        if folder.name in keep or not _RUN.fullmatch(folder.name) or folder.is_symlink():
            continue
        try:
            written = max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
        except OSError:
            continue  # it is being written to, or gone
        if written < before.timestamp():
            shutil.rmtree(folder, ignore_errors=True)
            gone += 1
    return gone
