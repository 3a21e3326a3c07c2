"""The JSON API: the same acts and the same nouns as the command line."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import PlainTextResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from runner import acts, incident_report
from runner.acts.propose import propose
from runner.errors import Refused
from runner.incident import Approval, Incident, Level, State
from runner.incident_report import approval_request
from runner.project import Project
from runner.store import approvals, audit_log, dead_letters, incidents, switches
from runner.text import storable
from runner.web import entries
from runner.web.auth import Actor
from runner.web.replies import Json, Refusal, documented

MAX_ID = 2**63 - 1  #: what the store's integers hold

Id = Annotated[int, Path(ge=1, le=MAX_ID)]
Text = Annotated[str, AfterValidator(storable)]
Sentence = Annotated[Text, Field(max_length=2000)]
Name = Annotated[Text, Field(min_length=1, max_length=255)]


def project_of(request: Request) -> Project:
    """The project that this process has open."""
    return request.app.state.project  # type: ignore[no-any-return]


def actor_of(request: Request) -> Actor:
    """Who asks; the guard has checked that they may."""
    return request.state.actor  # type: ignore[no-any-return]


Opened = Annotated[Project, Depends(project_of)]
By = Annotated[Actor, Depends(actor_of)]

router = APIRouter(prefix="/api/v1", responses=documented())
watch = APIRouter()
_verifying = threading.Lock()


class Asked(BaseModel):
    """A body of the API: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid")


class Because(Asked):
    """Why a person does it."""

    reason: Sentence = ""


class Answer(Asked):
    """The answer to an approval. It counts for this plan only."""

    answer: Literal["approved", "denied"]
    plan: Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="The plan's hash.")]
    comment: Sentence = ""


class Wanted(Asked):
    """A run that a person asks for."""

    entry: Name
    hosts: Annotated[list[Name], Field(min_length=1, max_length=1000)]
    values: Annotated[dict[Name, Any], Field(max_length=100)] = Field(default_factory=dict)
    level: Level = Level.DRY_RUN


class IncidentPage(BaseModel):
    """Incidents, newest first."""

    incidents: list[Incident]
    next: int | None = Field(description="`before` of the next page; null at the end.")


class Asking(BaseModel):
    """A question with everything that is known of what it asks."""

    approval: Approval
    incident: incident_report.Bundle
    words: dict[str, str] = Field(description="Radius, fidelity, record and undo in words.")


class Made(BaseModel):
    """The incident that this made."""

    incident: int


class Paused(BaseModel):
    """Whether everything is held at `observe`."""

    paused: str | None = Field(description="By whom, when and why; null when it is not.")


class Done(BaseModel):
    """It was asked for."""

    incident: int
    state: State


@router.get("/incidents", response_model=IncidentPage, tags=["incidents"])
def list_incidents(
    project: Opened,
    state: Annotated[list[State], Query()] = [],  # noqa: B006 - FastAPI copies it
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
) -> Response:
    """Incidents, newest first, of these states or of all."""
    with project.database.read() as tx:
        found = incidents.find(tx, states=state, limit=limit, before=before)
    following = found[-1].id if len(found) == limit else None
    return Json({"incidents": found, "next": following})


@router.get(
    "/incidents/{id}",
    response_model=incident_report.Bundle,
    responses=documented(404),
    tags=["incidents"],
)
def read_incident(project: Opened, id: Id) -> Response:
    """Show everything known about an incident."""
    with project.database.read() as tx:
        return Json(incident_report.load(tx, id))


@router.post(
    "/incidents/{id}/cancel",
    response_model=Done,
    responses=documented(404, 409),
    tags=["incidents"],
)
def cancel_incident(project: Opened, by: By, id: Id, because: Because) -> Response:
    """Ask the runner to stop working on an incident."""
    acts.cancel(project, id, by=by.name, reason=because.reason)
    with project.database.read() as tx:
        return Json({"incident": id, "state": incidents.get(tx, id).state})


@router.post(
    "/incidents/{id}/retry",
    response_model=Made,
    status_code=201,
    responses=documented(404, 409),
    tags=["incidents"],
)
def retry_incident(project: Opened, by: By, id: Id, because: Because) -> Response:
    """Handle the alert of an ended incident again, as a new one."""
    made = acts.retry(project, id, by=by.name, reason=because.reason)
    return Json({"incident": made}, 201)


class Proposed(Asked):
    """The entry that a person proposes for an incident's alert."""

    entry: Name
    values: Annotated[dict[Name, Any], Field(max_length=100)] = Field(default_factory=dict)
    reason: Sentence = ""


@router.post(
    "/incidents/{id}/propose",
    response_model=Made,
    status_code=201,
    responses=documented(404, 409),
    tags=["incidents"],
)
def propose_entry(project: Opened, by: By, id: Id, given: Proposed) -> Response:
    """Handle the alert of an ended incident again, with an entry that matches or considers it."""
    made = propose(project, id, given.entry, values=given.values, by=by.name, reason=given.reason)
    return Json({"incident": made}, 201)


@router.get("/approvals", response_model=list[Approval], tags=["approvals"])
def list_approvals(project: Opened) -> Response:
    """Questions that nobody has answered yet, oldest first."""
    with project.database.read() as tx:
        return Json(approvals.open_approvals(tx))


@router.get(
    "/approvals/{id}", response_model=Approval, responses=documented(404), tags=["approvals"]
)
def read_approval(project: Opened, id: Id) -> Response:
    """One question and, once given, its answer."""
    with project.database.read() as tx:
        return Json(approvals.get(tx, id))


@router.get(
    "/approvals/{id}/pack", response_model=Asking, responses=documented(404), tags=["approvals"]
)
def read_pack(project: Opened, id: Id) -> Response:
    """One question with all that is needed to answer it, and the same in words."""
    with project.database.read() as tx:
        asked = approval_request.load(tx, id)
    words = {name: getattr(asked, name) for name in ("radius", "fidelity", "record", "undo")}
    return Json({"approval": asked.question, "incident": asked.bundle, "words": words})


@router.post(
    "/approvals/{id}", response_model=Approval, responses=documented(404, 409), tags=["approvals"]
)
def answer_approval(project: Opened, by: By, id: Id, given: Answer) -> Response:
    """Approve or deny a plan."""
    answered = acts.answer(
        project, id, answer=given.answer, by=by.name, comment=given.comment, plan=given.plan
    )
    return Json(answered)


@router.post(
    "/runs", response_model=Made, status_code=201, responses=documented(404, 409), tags=["runs"]
)
def request_run(project: Opened, by: By, wanted: Wanted) -> Response:
    """Ask for an entry to be run on these hosts, on the same path as an alert."""
    made = acts.request_run(
        project,
        entry=wanted.entry,
        hosts=wanted.hosts,
        values=wanted.values,
        by=by.name,
        ceiling=wanted.level,
    )
    return Json({"incident": made}, 201)


class Letter(BaseModel):
    """What could not be read: a whole body, or one alert of a body whose others were stored."""

    id: int
    received_at: datetime
    last_at: datetime = Field(description="When the same came once more.")
    times: int
    source: str
    sender: str = Field(description="Whose credential brought it; empty when it is not known.")
    ceiling: Level
    delivery: int | None = Field(description="Whose other alerts were stored; null for a body.")
    position: int | None = Field(description="Of the alert in its body, from 0.")
    reason: str
    hash: str = Field(description="SHA-256 of all that came.")
    size: int = Field(description="Bytes of all that came.")
    whole: bool = Field(description="Whether all of it was kept; else it cannot be replayed.")
    replayed_at: datetime | None
    replayed_by: str | None
    replayed_as: int | None


class LetterWithBody(Letter):
    """One of them, with what was kept of it."""

    body: str = Field(description="As text, secrets masked.")


class Replayed(BaseModel):
    """It was handed in again."""

    delivery: int
    alerts: int


@router.get("/dead-letters", response_model=list[Letter], tags=["dead letters"])
def list_dead_letters(
    project: Opened,
    replayed: bool = False,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
) -> Response:
    """What could not be read, newest first; `replayed` also lists what was handed in again."""
    with project.database.read() as tx:
        found = dead_letters.find(tx, replayed=replayed, limit=limit, before=before)
    return Json([dead_letters.described(each) for each in found])


@router.get(
    "/dead-letters/{id}",
    response_model=LetterWithBody,
    responses=documented(404),
    tags=["dead letters"],
)
def read_dead_letter(project: Opened, id: Id) -> Response:
    """One dead letter, with the beginning of what came."""
    with project.database.read() as tx:
        found = dead_letters.get(tx, id)
    return Json(dead_letters.described(found) | {"body": project.mask(found.text)})


@router.post(
    "/dead-letters/{id}/replay",
    response_model=Replayed,
    responses=documented(404, 409),
    tags=["dead letters"],
)
def replay_dead_letter(project: Opened, by: By, id: Id) -> Response:
    """Hand it in again, in the name of who sent it."""
    received = acts.replay(project, id, by=by.name)
    return Json({"delivery": received.delivery, "alerts": len(received.alerts)})


@router.get("/catalog", response_model=list[entries.EntrySummary], tags=["catalog"])
def list_catalog(project: Opened) -> Response:
    """Everything that the runner may run."""
    return Json([entries.summary(entry) for entry in project.catalog.entries.values()])


@router.get(
    "/catalog/{id}",
    response_model=entries.EntryDetail,
    responses=documented(404, 409),
    tags=["catalog"],
)
def read_entry(project: Opened, id: Annotated[str, Path(max_length=64)]) -> Response:
    """One entry, with what may be chosen and the hash of its content."""
    return Json(entries.detail(project.catalog, project.catalog.get(id)))


@router.post("/pause", response_model=Paused, responses=documented(409), tags=["switches"])
def pause(project: Opened, by: By, because: Because) -> Response:
    """Hold everything at `observe`."""
    acts.pause(project, by=by.name, reason=because.reason)
    return _paused(project)


@router.post("/resume", response_model=Paused, responses=documented(409), tags=["switches"])
def resume(project: Opened, by: By, because: Because) -> Response:
    """End the pause."""
    acts.resume(project, by=by.name, reason=because.reason)
    return _paused(project)


def _paused(project: Project) -> Response:
    with project.database.read() as tx:
        return Json({"paused": switches.paused(tx)})


@router.get("/audit", response_model=audit_log.Finding, responses=documented(409), tags=["audit"])
def verify_audit(project: Opened) -> Response:
    """Whether no row of the audit log was edited, removed or reordered."""
    if not _verifying.acquire(blocking=False):
        raise Refused("The audit log is being verified; ask again in a moment.")
    try:
        with project.database.read() as tx:
            return Json(audit_log.verify(tx))
    finally:
        _verifying.release()


@watch.get("/healthz", response_class=PlainTextResponse, tags=["watch"])
def healthz() -> str:
    """The process answers."""
    return "ok\n"


@watch.get("/readyz", response_class=PlainTextResponse, responses=documented(), tags=["watch"])
def readyz(request: Request) -> str:
    """The store takes writes, and a worker is there to process them."""
    request.app.state.readiness.require()
    if not request.app.state.project.is_worked_on():
        raise Refusal(503, "The worker has ended; it is started again.")
    return "ok\n"


@watch.get("/metrics", response_class=PlainTextResponse, responses=documented(), tags=["watch"])
def metrics(request: Request) -> Response:
    """The runner's own metrics, in Prometheus' text format."""
    body = request.app.state.metrics.exposition()
    return Response(body, media_type="text/plain; version=0.0.4; charset=utf-8")
