"""A worker whose time of day jumps: `clock_worker.py RUNNER_YML FILE`.

FILE holds seconds by which its clock is off from now on. Monotonic time goes on, and processes
that it starts have the real time.
"""

from __future__ import annotations

import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

from tests.acceptance import fault_worker


def follow(file: Path) -> None:
    """Let the clock jump once, when the file says so."""
    while (seconds := float(file.read_text() or 0)) == 0:
        time.sleep(0.05)
    time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds), tick=True).start()


def main(config: Path, file: Path) -> None:
    threading.Thread(target=follow, args=(file,), daemon=True).start()
    fault_worker.main(config)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
