"""Programs that the runner starts and waits for: they can ask nobody, and end in time."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Where Ansible, and what it starts here, finds programs: an inventory script in a run, too.
PATH = os.pathsep.join(
    [
        str(Path(sys.executable).parent),
        *("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"),
    ]
)


def home() -> str:
    """The home of the user that Ansible runs as."""
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container's arbitrary uid
        return os.environ.get("HOME", "/")


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
