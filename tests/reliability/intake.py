"""The runner's intake as a process to be killed: `intake.py RUNNER_YML PORT [work]`.

Everything is imported once; for each line on standard input a fork of this process starts the
web server and the inbox, with `work` the whole runner, and prints its process id when it
answers. Only the start of Python is saved: the store, the lock and the port are the fork's own.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from runner.daemon import Daemon
from runner.project import Project
from runner.web.app import create_app
from runner.web.serve import Server
from tests.web_site import Counted


def serve(config: Path, port: int, work: bool) -> None:
    """Take alerts in, and work on them if asked to, until killed."""
    project = Project.load(config)
    daemon = Daemon(project)
    if work:
        daemon.start()
    else:
        project.delivered = daemon._inbox.wake
        daemon._inbox.start()
    listen = project.config.listen.model_copy(update={"port": port})
    Server(create_app(project, Counted()), listen).start()
    print(os.getpid(), flush=True)
    while True:
        time.sleep(60)


def main(config: Path, port: int, *how: str) -> None:
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            serve(config, port, "work" in how)
        os.waitpid(child, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
