"""Programs that the runner starts and waits for: they can ask nobody, and end in time."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence


def answer(
    command: Sequence[str], environment: Mapping[str, str], given: bytes = b"", *, seconds: float
) -> subprocess.CompletedProcess[bytes]:
    """What a program says, started in the root folder with this environment and nothing else.

    It has a session of its own and no terminal, so that a question for a password fails at once
    instead of waiting. At the deadline everything in that session is ended.
    Raises subprocess.TimeoutExpired, and OSError when it cannot be started.
    """
    with subprocess.Popen(
        command,
        env=dict(environment),
        cwd="/",  # an ansible.cfg or group_vars where we happen to be must not count
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            said, errors = process.communicate(given, timeout=seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # it was not waited for, so the number is its
            raise
    return subprocess.CompletedProcess(command, process.returncode, said, errors)
