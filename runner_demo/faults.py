"""What the demo can break, and what it expects to come of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from runner_demo import node
from runner_demo.fleet import BAD, Node

HOST = "web2"  #: the host that is broken
SERVICE_DOWN = "ServiceDown"
_OLD = 2 * 60 * 60  #: seconds; what the catalog deletes must be old
_FILES = 8
_JOBS = 40


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to break a node."""

    name: str  #: of `--fault`
    title: str
    alert: str  #: the watch that finds it
    entry: str | None  #: what the rules should choose; None: nothing fits, a person is told
    path: str  #: what the trouble is seen at
    agent: bool  #: whether the agent serves `path`, or the service itself
    done: str  #: what `inject` did, a sentence
    inject: Callable[[Node], None]

    def url(self, host: Node) -> str:
        """Where the trouble is seen on `host`."""
        return f"{host.agent_url if self.agent else host.url}{self.path}"


def crash(host: Node) -> None:
    """Kill the service, as a segmentation fault or the out-of-memory killer would."""
    os.kill(host.pid(), signal.SIGKILL)


def hang(host: Node) -> None:
    """Stop the service without ending it: its process is there, and nothing answers."""
    os.kill(host.pid(), signal.SIGSTOP)


def fill_disk(host: Node) -> None:
    """Fill the disk area with old files of the cache."""
    before = time.time() - _OLD
    for number in range(_FILES):
        file = host.folder / "cache" / f"page-{number}.tmp"
        file.write_bytes(bytes(node.QUOTA // _FILES))
        os.utime(file, (before, before))


def release(host: Node) -> None:
    """Deploy the release that fails."""
    host.serve(BAD)
    host.control("restart", "app")


def stall_queue(host: Node) -> None:
    """Leave jobs in the queue that nothing takes out."""
    for number in range(_JOBS):
        (host.folder / "data" / "queue" / f"{number:04}.json").write_text('{"pay": null}')


FAULTS = (
    Fault(
        name="crash",
        title="a service crashes",
        alert=SERVICE_DOWN,
        entry="restart_service",
        path="/health",
        agent=False,
        done="the process of app is killed with SIGKILL, and supervisord leaves it down",
        inject=crash,
    ),
    Fault(
        name="hang",
        title="a service hangs",
        alert=SERVICE_DOWN,
        entry="restart_service",
        path="/health",
        agent=False,
        done="the process of app is frozen with SIGSTOP: supervisord still calls it RUNNING",
        inject=hang,
    ),
    Fault(
        name="disk",
        title="a disk fills up",
        alert="DiskFull",
        entry="clean_disk",
        path="/disk",
        agent=True,
        done=f"{_FILES} old cache files take all {node.QUOTA // 1024 // 1024} MiB of its quota",
        inject=fill_disk,
    ),
    Fault(
        name="release",
        title="a new release is bad",
        alert="BadRelease",
        entry="rollback_release",
        path="/errors",
        agent=True,
        done=f"{BAD} is deployed; its page looks up a price under a name that is not there",
        inject=release,
    ),
    Fault(
        name="unknown",
        title="trouble that no playbook is for",
        alert="QueueStuck",
        entry=None,
        path="/queue",
        agent=True,
        done=f"{_JOBS} jobs wait in its queue, and nothing takes them out",
        inject=stall_queue,
    ),
)
BY_NAME = {fault.name: fault for fault in FAULTS}
