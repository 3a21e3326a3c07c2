"""One run of a playbook, at most once: intent and host locks first, then Ansible, then outcome."""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from runner import shipped
from runner.catalog.content import read
from runner.catalog.dry_run import checked
from runner.catalog.entry import Effect, Entry
from runner.catalog.loaded import called
from runner.catalog.scan import scan
from runner.catalog.secret_values import secrets_of
from runner.errors import Refused, RunnerError, StoreError
from runner.execute import run as ansible
from runner.execute.request import Loading, RunRequest, RunResult
from runner.incident import GOES_ON, BlastRadius, Outcome, Plan, Purpose, Run
from runner.inventory import Inventory
from runner.plan.reach import also_of
from runner.project import Project
from runner.steps import own_inventory
from runner.steps.part import part_of
from runner.store import clock, incidents, runs
from runner.store.order import Rank, Stage, Urgency, urgency_of
from runner.store.runs import plain

logger = logging.getLogger(__name__)

#: How long after its deadline a run of a lost worker may still be ending its processes.
LEASE = timedelta(seconds=30)
#: A pause after which a worker asks whether it still counts as alive: less than a lease.
SLEPT = timedelta(seconds=3)
#: What is further on its way goes first; whatever is not named here acts.
_STAGES = {Purpose.DRY_RUN: Stage.DRY_RUN, Purpose.PROBE: Stage.PROBE}
#: Seconds between two looks at a run that another process started.
_POLL = 0.5
#: Runs that a thread of this process is starting, watching or recording.
_mine: set[str] = set()


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run to perform: `attempt` and `step` tell it from other runs of the same purpose."""

    incident: int
    purpose: Purpose
    attempt: int
    entry: Entry
    plan: Plan  #: or the part of it that is this step
    step: int = 1
    #: The last look at the world, made when nothing but the intent is left to do. It may refuse.
    ready: Callable[[], Ready] | None = None
    waited: bool = False  #: the incident says that it waits, which is over when this starts


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What the last look found, for the transaction that takes the hosts."""

    radius: BlastRadius | None = None  #: what must still stay in service when it starts
    inventory: Inventory | None = None  #: what was compared with the plan, where one was
    #: asked with that transaction and its time; what it raises undoes the transaction
    allow: Callable[[sa.Connection, datetime], None] = lambda tx, now: None


def perform(project: Project, job: Job) -> Run:
    """The run with its outcome. Raises NotNow when a host is taken or the limits say that it
    must wait, before anything started, and RunnerError when nothing could be started.

    If this very run was started before a crash it is not started again: what became of it is
    found out, or is `unknown`.
    """
    with project.database.read() as tx:
        before = runs.find(tx, job.incident, job.purpose, job.attempt, job.step)
        incident = incidents.get(tx, job.incident)
    if before is None:
        plan = job.plan
        part = part_of(project, incident, job.entry, plan.hosts, plan.touched, plan.variables)
        with project.database.read() as tx:
            busy = runs.holders(tx, plan.touched, _locked_part(job.entry, part))
        if busy:  # said before anybody is asked anything
            raise runs.HostsBusy(busy)
        by_hand = incident.requested_by or incident.proposed_by
        labels = incident.alert.labels
        rank = Rank(
            host=min(job.plan.hosts, default=""),
            urgency=Urgency.CRITICAL if by_hand else urgency_of(labels),
            stage=_STAGES.get(job.purpose, Stage.RUN),
            incident=job.incident,
        )
        with project.slots.slot(rank) as only_waits:
            before = _start(project, job, part, only_waits)
    elif before.outcome is None:
        _settle(project, before)
    with project.database.read() as tx:
        return runs.get(tx, before.id)


def _locked_part(entry: Entry, part: str | None) -> str:
    """The part that a run keeps others away from; empty for its whole hosts."""
    return part or "" if entry.target.exclusive == "part" else ""


def _start(project: Project, job: Job, part: str | None, only_waits: Callable[[bool], bool]) -> Run:
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
        part=part,
        plan=job.plan.hash,
        started_at=now,
        deadline=now + timeout,
        artifacts=str(project.state / "artifacts"),
    )
    secrets = secrets_of(job.entry)
    request = _request(project, job, run, timeout, secrets)
    own_inventory.look_again(project)
    ready = job.ready() if job.ready is not None else Ready()
    known = ready.inventory or project.inventory_at_hand
    request = replace(
        request,
        excerpt=own_inventory.excerpt(project, known, job.entry, job.plan),
        unread=tuple(known.unread) if known is not None else (),
    )
    with _in_flight(run.id):
        now = datetime.now(UTC)
        with project.database.write() as tx:
            intended = runs.intend(
                tx,
                run,
                worker=project.worker,
                lock=job.plan.touched,
                part=_locked_part(job.entry, part),
                radius=ready.radius,
                allow=ready.allow,
            )
            if intended and job.waited and not job.purpose.acts:  # what acts has a state of its own
                on = f"{job.purpose} of {job.entry.id} on {', '.join(job.plan.hosts)}"
                incidents.note(tx, job.incident, GOES_ON, on)
        if not intended:
            # A worker that was taken for dead has been overtaken here; its run counts.
            return perform(project, job)
        _still_ours(project, now)
        try:
            result = ansible.run(
                request,
                on_event=lambda event: project.tell(run, event),
                cancelled=_cancelled(project, job.incident),
                only_waits=only_waits,
                mask=project.mask.knowing(secrets),
                warm=project.warm,
            )
        except RunnerError as error:  # nothing was started, so the hosts are free
            _write(project, run, release=True, outcome=Outcome.FAILED, reason=str(error))
            raise
        _store(project, run, result)
    return run


@contextmanager
def _in_flight(run: str) -> Iterator[None]:
    """Meanwhile this process knows the run's end best: housekeeping leaves it alone."""
    _mine.add(run)
    try:
        yield
    finally:
        _mine.discard(run)


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


def _request(
    project: Project, job: Job, run: Run, timeout: timedelta, secrets: Mapping[str, str]
) -> RunRequest:
    also = also_of(job.entry, project.inventory_at_hand or project.inventory())
    effects: tuple[Effect, ...] = ()
    if job.purpose.check and job.entry.dry_run.effects:
        # What the dry run may show by the entry's word: what does not hold up is not shown.
        effects = checked(job.entry, scan(job.entry, project.catalog.roles).tasks).effects
    return RunRequest(
        id=run.id,
        entry_id=job.entry.id,
        playbook=job.entry.play_file,
        playbook_name=job.entry.collection_playbook,
        tags=job.entry.tags,
        skip_tags=job.entry.skip_tags,
        also=tuple(host for host in also if host in job.plan.delegates),
        left_out=job.entry.plays.skip,
        hosts=job.plan.hosts,
        allowed=frozenset(job.plan.touched),
        variables={**job.plan.variables, **secrets},
        check=job.purpose.check,
        effects=effects,
        reads=job.entry.dry_run.reads,
        timeout=timeout,
        loading=_loading(project, job),
        **_of_every_run(project),
    )


def _of_every_run(project: Project) -> dict[str, Any]:
    """What the configuration gives all of them."""
    settings, execution = project.config, project.config.execution
    ansible_config = settings.project.ansible_config
    return {
        "roles_path": project.catalog.roles.paths,
        "inventory": settings.project.inventory,
        "forks": execution.forks,
        "grace": execution.grace,
        "memory": execution.memory_mb * 2**20,
        "host_key_checking": execution.host_key_checking,
        "environment": execution.of_passwords() | execution.environment,
        "vault_password_file": execution.vault_password_file,
        "ansible_config": ansible_config if ansible_config and ansible_config.is_file() else None,
        "artifacts": project.state / "artifacts",
    }


def warm_up(project: Project) -> None:
    """Have the process that runs are forked from begin now, and not with the first of them."""
    installed = project.catalog.roles.installed
    if project.warm is None or installed is None:
        return
    request = RunRequest(
        id=uuid.uuid4().hex,
        entry_id="none",
        playbook=project.catalog.playbooks,
        hosts=("none",),
        timeout=project.config.execution.timeout,
        loading=Loading(collection_paths=installed.collection_paths),
        **_of_every_run(project),
    )
    project.warm.keep = True
    ansible.warm_up(request, project.warm)


def _loading(project: Project, job: Job) -> Loading:
    """What the run may load: everything in a dry run, which reports it; else what the plan names,
    from a copy. A probe changes nothing, and nobody was asked about its plan."""
    playbooks, roles = project.catalog.playbooks, project.catalog.roles
    installed = roles.installed
    assert installed is not None, "a project knows its Ansible"
    plugins = installed.plugin_folders
    folders = {folder for some in plugins.values() for folder in some}
    collections = {path / "ansible_collections" for path in installed.collection_paths}
    found = scan(job.entry, roles).playbooks if job.entry.found else ()
    own = {path.parent for path in found}
    watching = Loading(
        roots=(playbooks, shipped.playbooks(), *roles.paths, *sorted(folders | collections | own)),
        collection_paths=installed.collection_paths,
        passwords=tuple(project.config.execution.password_files.values()),
    )
    if job.purpose in (Purpose.DRY_RUN, Purpose.PROBE):
        return watching
    plan = job.plan
    paths = read(project.catalog, job.entry).paths
    if gone := sorted(plan.files.keys() - paths.keys()):
        raise Refused(f"{gone[0]} was removed after the plan was made; nothing was started")
    files = {paths[name]: digest for name, digest in plan.files.items()}
    files |= {Path(name): digest for name, digest in plan.loaded.items() if name[0] == "/"}
    copies = {
        name: (each.folder, plan.loaded[called(each)])
        for name, each in installed.collections.items()
        if called(each) in plan.loaded
    }
    return replace(
        watching,
        files=files,
        strict=job.purpose in (Purpose.REMEDIATION, Purpose.RECHECK) and job.entry.dry_run.required,
        base=Path(os.path.commonpath([playbooks, *project.config.project.roles, *own])),
        plugin_folders=plugins,
        collections=copies,
        cache=project.state / "collections",
    )


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
    patience = run.deadline + LEASE
    while True:
        found = ansible.recover(project.state / "artifacts", run.id, mask=project.mask)
        if found is not ansible.ALIVE or datetime.now(UTC) >= patience:
            break
        project.sleep(_POLL)
    result = found if isinstance(found, RunResult) else None  # nothing proves how it ended
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
    reason = "the runner stopped before it started anything"
    return {"outcome": Outcome.CANCELLED, "reason": reason}


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
            "reason": "the runner stopped during the run, and nothing proves how it ended",
        }
    return {
        "outcome": result.outcome,
        "reason": result.reason,
        "stats": plain(result.stats),
        "results": plain(result.results),
        "diff": result.diff,
        "diff_hash": result.diff_hash,
        "fidelity": runs.fidelity_to_json(result.fidelity),
        "artifacts": str(result.artifacts),
        "seen": sorted(result.hosts_seen),
        "loaded": dict(result.loaded),
        "included": sorted(result.included),
    }


def settle_left(project: Project) -> int:
    """Settle runs that nobody else settles, and free their hosts; how many were settled.

    Those without an outcome whose incident has ended or whose time is long over, and those
    whose end is unknown but is proven by now, or lies long past any deadline.
    """
    with project.database.read() as tx:
        left = runs.left_behind(tx, project.worker, LEASE)
        unknown = [run for run in runs.locked(tx) if run.outcome is Outcome.UNKNOWN]
        now = clock.now(tx)
    of_others = [run for run in (*left, *unknown) if run.id not in _mine]
    settled = 0
    for run in of_others:
        # Nobody needs what check mode or a probe would still say of an incident that has ended.
        with project.database.read() as tx:
            incident = incidents.find_one(tx, run.incident)
        looks_only = run.purpose.check or run.purpose is Purpose.PROBE
        unwanted = looks_only and (incident is None or incident.state.ended)
        artifacts = project.state / "artifacts"
        found = ansible.recover(artifacts, run.id, mask=project.mask, unwanted=unwanted)
        if found is ansible.ALIVE:
            continue
        result = found if isinstance(found, RunResult) else None
        overdue = now >= run.deadline + LEASE
        if result is not None and result.outcome is not Outcome.UNKNOWN:
            _store(project, run, result)
        elif result is None and run.outcome is None and project.database.sqlite:
            _write(project, run, release=True, **_never_started())
        elif run.outcome is None:
            _write(project, run, release=overdue, **_columns(result))
        elif overdue:
            with project.database.write() as tx:
                runs.release(tx, run.id)
        else:
            continue
        settled += 1
    return settled
