"""One run of a playbook, at most once: intent and host locks first, then Ansible, then outcome."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from runner.catalog.dry_run import checked
from runner.catalog.entry import Effect, Entry
from runner.catalog.scan import scan
from runner.errors import RunnerError, StoreError
from runner.execute import run as ansible
from runner.execute.request import RunRequest, RunResult
from runner.incident import BlastRadius, Outcome, Plan, Purpose, Run
from runner.project import Project
from runner.store import incidents, runs
from runner.store.runs import plain

logger = logging.getLogger(__name__)

#: How long after its deadline a run of a lost worker may still be ending its processes.
LEASE = timedelta(seconds=30)
#: A pause after which a worker asks whether it still counts as alive: less than a lease.
SLEPT = timedelta(seconds=3)
#: Seconds between two looks at a run that another process started.
_POLL = 0.5


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run to perform: `attempt` and `step` tell it from other runs of the same purpose."""

    incident: int
    purpose: Purpose
    attempt: int
    entry: Entry
    plan: Plan  #: or the part of it that is this step
    step: int = 1
    radius: BlastRadius | None = None  #: what must still stay in service when it starts


def perform(project: Project, job: Job) -> Run:
    """The run with its outcome. Raises HostsBusy when a host is taken, before anything started,
    and RunnerError when nothing could be started.

    If this very run was started before a crash it is not started again: what became of it is
    found out, or is `unknown`.
    """
    with project.database.read() as tx:
        before = runs.find(tx, job.incident, job.purpose, job.attempt, job.step)
    if before is None:
        with project.slots:
            before = _start(project, job)
    elif before.outcome is None:
        _settle(project, before)
    with project.database.read() as tx:
        return runs.get(tx, before.id)


def _start(project: Project, job: Job) -> Run:
    timeout = job.entry.limits.timeout or project.config.execution.timeout
    now = datetime.now(UTC)
    run = Run(
        id=uuid.uuid4().hex,
        incident=job.incident,
        purpose=job.purpose,
        attempt=job.attempt,
        step=job.step,
        entry=job.entry.id,
        hosts=job.plan.touched,
        plan=job.plan.hash,
        started_at=now,
        deadline=now + timeout,
        artifacts=str(project.state / "artifacts"),
    )
    request = _request(project, job, run, timeout)
    with project.database.write() as tx:
        if not runs.intend(
            tx, run, worker=project.worker, lock=job.plan.touched, radius=job.radius
        ):
            # A worker that was taken for dead has been overtaken here; its run counts.
            return _existing(project, job)
    _still_ours(project, now)
    try:
        result = ansible.run(
            request,
            on_event=lambda event: project.tell(run, event),
            cancelled=_cancelled(project, job.incident),
            mask=project.mask,
        )
    except RunnerError as error:  # nothing was started, so the hosts are free
        ended = {"outcome": Outcome.FAILED, "reason": str(error), "ended_at": datetime.now(UTC)}
        _write(project, run, release=True, **ended)
        raise
    _store(project, run, result)
    return run


def _still_ours(project: Project, since: datetime) -> None:
    """Raise WorkerDead when this process slept since it intended to run, and was overtaken.

    What it intended is `unknown` to the others by now, and must not start behind their back.
    """
    while datetime.now(UTC) - since > SLEPT:
        try:
            with project.database.read() as tx:
                return runs.require_alive(tx, project.worker)
        except StoreError:
            project.sleep(_POLL)


def _existing(project: Project, job: Job) -> Run:
    with project.database.read() as tx:
        found = runs.find(tx, job.incident, job.purpose, job.attempt, job.step)
    assert found is not None
    if found.outcome is None:
        _settle(project, found)
    return found


def _request(project: Project, job: Job, run: Run, timeout: timedelta) -> RunRequest:
    settings = project.config
    ansible_config = settings.project.ansible_config
    return RunRequest(
        id=run.id,
        entry_id=job.entry.id,
        playbook=job.entry.playbook,
        roles_path=settings.project.roles,
        inventory=settings.project.inventory,
        hosts=job.plan.hosts,
        allowed=frozenset(job.plan.touched),
        variables=job.plan.variables,
        check=job.purpose.check,
        effects=_effects(project, job) if job.purpose.check else (),
        reads=job.entry.dry_run.reads,
        timeout=timeout,
        forks=settings.execution.forks,
        grace=settings.execution.grace,
        host_key_checking=settings.execution.host_key_checking,
        environment=settings.execution.environment,
        vault_password_file=settings.execution.vault_password_file,
        ansible_config=ansible_config if ansible_config and ansible_config.is_file() else None,
        artifacts=project.state / "artifacts",
    )


def _effects(project: Project, job: Job) -> tuple[Effect, ...]:
    """What the dry run may show by the entry's word: what does not hold up counts as not shown."""
    if not job.entry.dry_run.effects:
        return ()
    return checked(job.entry, scan(job.entry, project.config.project.roles).tasks).effects


def _cancelled(project: Project, incident: int) -> Callable[[], bool]:
    """Whether a person asked to stop; looks at the store once a second at most."""
    looked, answer = 0.0, False

    def ask() -> bool:
        nonlocal looked, answer
        if not answer and time.monotonic() - looked >= 1.0:
            looked = time.monotonic()
            try:
                with project.database.read() as tx:
                    answer = incidents.get(tx, incident).cancel_requested
            except StoreError:
                return answer
        return answer

    return ask


def _settle(project: Project, run: Run) -> None:
    """Write what became of a run that another process, or this one before a crash, started."""
    result = _aftermath(project, run)
    if result is None and project.database.sqlite:
        # Its folder is made before anything is started, and on this machine there is none.
        _write(project, run, release=True, **_never_started())
    else:
        _store(project, run, result)


def settle_own(project: Project, incident: int) -> None:
    """Find out what became of every run of this incident that a crash cut short.

    Otherwise one on hosts that are not chosen again would keep them for good.
    """
    with project.database.read() as tx:
        cut_short = [run for run in runs.locked(tx) if run.incident == incident]
    for run in cut_short:
        if run.outcome is None:
            _settle(project, run)


def _never_started() -> dict[str, Any]:
    reason = "the runner went away before it started anything"
    return {"outcome": Outcome.CANCELLED, "reason": reason, "ended_at": datetime.now(UTC)}


def _aftermath(project: Project, run: Run) -> RunResult | None:
    """What became of a run that another process started; None when nothing proves it."""
    patience = run.deadline + LEASE
    while True:
        found = ansible.recover(project.state / "artifacts", run.id, mask=project.mask)
        if isinstance(found, RunResult):
            return found
        if found is not ansible.ALIVE or datetime.now(UTC) >= patience:
            return None
        project.sleep(_POLL)


def _store(project: Project, run: Run, result: RunResult | None) -> None:
    release = result is not None and result.outcome is not Outcome.UNKNOWN
    _write(project, run, release=release, **_columns(result))


def _write(project: Project, run: Run, *, release: bool, **columns: Any) -> None:
    """Write the outcome; tries until it works, because a run must not be without one."""
    while True:
        try:
            with project.database.write() as tx:
                runs.conclude(tx, run.id, release=release, **columns)
            return
        except StoreError as error:
            logger.warning("the outcome of run %s waits for the store: %s", run.id, error)
            project.sleep(1.0)


def _columns(result: RunResult | None) -> dict[str, Any]:
    if result is None:
        return {
            "outcome": Outcome.UNKNOWN,
            "reason": "the runner went away while it ran, and nothing proves how it ended",
            "ended_at": datetime.now(UTC),
        }
    return {
        "outcome": result.outcome,
        "reason": result.reason,
        "ended_at": result.ended_at,
        "stats": plain(result.stats),
        "results": plain(result.results),
        "diff": result.diff,
        "diff_hash": result.diff_hash,
        "fidelity": runs.fidelity_to_json(result.fidelity),
        "artifacts": str(result.artifacts),
        "seen": sorted(result.hosts_seen),
    }


def settle_unknown(project: Project) -> int:
    """Free hosts of runs whose end is unknown but proven by now, or long past any deadline.

    Returns how many runs were settled.
    """
    settled = 0
    with project.database.read() as tx:
        held = [run for run in runs.locked(tx) if run.outcome is Outcome.UNKNOWN]
    for run in held:
        found = ansible.recover(project.state / "artifacts", run.id, mask=project.mask)
        if isinstance(found, RunResult) and found.outcome is not Outcome.UNKNOWN:
            _store(project, run, found)
        elif found is ansible.ALIVE or datetime.now(UTC) < run.deadline + LEASE:
            continue
        else:
            with project.database.write() as tx:
                runs.release(tx, run.id)
        settled += 1
    return settled
