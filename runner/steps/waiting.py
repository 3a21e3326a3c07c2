"""Waiting for hosts that another run is touching, or for room, with a deadline."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

from runner.errors import Refused
from runner.incident import WAITS, Run
from runner.project import Project
from runner.steps.perform import Job, perform
from runner.store import incidents
from runner.store.runs import HostsBusy, NotNow
from runner.text.duration import write

#: Seconds that a run waits before a person is asked.
PATIENCE = 900.0
_POLL = 1.0
#: Seconds between two looks where each of them asks the world, not only the store.
_SLOW_POLL = 10.0
#: Seconds between two words on what is waited for: on a busy host that changes all the time.
_SAY_EVERY = 60.0


def perform_when_free(project: Project, job: Job) -> Run:
    """The run with its outcome, as soon as nothing makes it wait; the incident says what does.

    Raises Refused, naming what it waited for, when that does not pass.
    """
    begun, said_at = time.monotonic(), None
    while True:
        try:
            return perform(project, replace(job, waited=said_at is not None))
        except NotNow as why:
            now = time.monotonic()
            if said_at is None or now - said_at >= _SAY_EVERY:
                said_at = now
                with project.database.write() as tx:
                    incidents.note(tx, job.incident, WAITS, str(why))
            if now - begun >= PATIENCE:
                patience = write(timedelta(seconds=PATIENCE))
                raise Refused(f"gave up after {patience}: {why}") from None
            project.sleep(_POLL if isinstance(why, HostsBusy) else _SLOW_POLL)
