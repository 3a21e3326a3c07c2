"""The dashboard: pages for people, rendered here, readable without scripts."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from starlette.responses import RedirectResponse, Response

from runner import acts, incident_report
from runner.acts.propose import propose
from runner.incident import ENDED, Incident, State
from runner.incident_report import approval_request
from runner.policy import approve
from runner.project import Project
from runner.store import approvals, incidents, records, switches
from runner.text import storable
from runner.web import entries, views
from runner.web.api import MAX_ID, By, Id, Opened
from runner.web.auth import Actor, Permission
from runner.web.replies import Refusal

PAGE = 50  #: incidents
SHOWN = {"open": False, "ended": True, "all": None}  #: which → `ended` of the query

#: Ends after which the alert may still need something done.
PROPOSES = frozenset(ENDED) - {State.FIXED, State.RESOLVED, State.SUPPRESSED, State.DRILLED}

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a posted form, each once; the guard has bounded the body."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        fields = parse_qs(body, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise Refusal(422, "The form has too many fields.") from None
    return {name: storable(values[-1]) for name, values in fields.items()}


Form = Annotated[dict[str, str], Depends(form_of)]


@router.get("/")
def list_page(
    request: Request,
    project: Opened,
    by: By,
    show: str = "open",
    before: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
) -> Response:
    """Incidents, newest first; those that have not ended, unless asked for others."""
    show = show if show in SHOWN else "open"
    with project.database.read() as tx:
        found = incidents.find(tx, ended=SHOWN[show], limit=PAGE + 1, before=before)
        counts = incidents.counts(tx)
    older = found[PAGE - 1].id if len(found) > PAGE else None
    ended = sum(count for state, count in counts.items() if State(state) in ENDED)
    total = sum(counts.values())
    return _page(
        request,
        project,
        by,
        "incidents.html",
        incidents=found[:PAGE],
        show=show,
        older=older,
        totals={"open": total - ended, "ended": ended, "all": total},
    )


@router.get("/incidents/{id}")
def incident_page(request: Request, project: Opened, by: By, id: Id) -> Response:
    """Show everything known about an incident."""
    with project.database.read() as tx:
        known = incident_report.load(tx, id)
    question = next((item for item in known.approvals if item.answer is None), None)
    return _page(
        request,
        project,
        by,
        "incident.html",
        bundle=known,
        incident=known.incident,
        question=question,
        steps=views.timeline(known.transitions),
        may_answer=by.may(Permission.ANSWER),
        may_stop=by.may(Permission.STOP) and not known.incident.state.ended,
        may_retry=by.may(Permission.ACT) and known.incident.state.ended,
        may_propose=by.may(Permission.ACT) and known.incident.state in PROPOSES,
    )


@router.get("/approvals")
def approvals_page(request: Request, project: Opened, by: By) -> Response:
    """Questions that nobody has answered yet."""
    with project.database.read() as tx:
        questions = approvals.open_approvals(tx)
        about: dict[int, Incident] = {
            item.incident: incidents.get(tx, item.incident) for item in questions
        }
        touched = records.radii_of(tx, list(about))
    radius = {number: approval_request.radius_words(touched.get(number)) for number in about}
    return _page(
        request, project, by, "approvals.html", questions=questions, about=about, radius=radius
    )


@router.get("/approvals/{id}")
def approval_page(request: Request, project: Opened, by: By, id: Id) -> Response:
    """All that is needed to answer one question, and the place to answer it."""
    with project.database.read() as tx:
        asked = approval_request.load(tx, id)
    return _page(
        request,
        project,
        by,
        "approval.html",
        pack=asked,
        may_answer=by.may(Permission.ANSWER),
        left_out=approve.left_out(asked.question, by.name, project.config.approval),
    )


@router.get("/approvals/{id}/file")
def approval_file(project: Opened, id: Id) -> Response:
    """The same as one file, to be kept or sent."""
    with project.database.read() as tx:
        asked = approval_request.load(tx, id)
    name = f'attachment; filename="approval-{id}.html"'
    content = views.pack_file(asked, project.config.environment)
    return HTMLResponse(content, headers={"Content-Disposition": name})


@router.get("/catalog")
def catalog_page(request: Request, project: Opened, by: By) -> Response:
    """Everything that the runner may run."""
    listed = sorted(project.catalog.entries.values(), key=lambda entry: (entry.kind, entry.id))
    summaries = [entries.summary(entry) for entry in reversed(listed)]
    return _page(request, project, by, "catalog.html", entries=summaries)


@router.get("/catalog/{id}")
def entry_page(request: Request, project: Opened, by: By, id: str) -> Response:
    """One entry and its README."""
    entry = project.catalog.get(id)
    readme = entry.readme.read_text(errors="replace") if entry.readme.is_file() else ""
    detail = entries.detail(project.catalog, entry)
    return _page(request, project, by, "entry.html", entry=detail, readme=readme)


@router.post("/approvals/{id}")
def answer_form(project: Opened, by: By, id: Id, form: Form) -> Response:
    """The answer of a person who looked at the incident's page."""
    answered = acts.answer(
        project,
        id,
        answer=form.get("answer", ""),
        by=by.name,
        comment=form.get("comment", ""),
        # Never None: the page names the plan that the person saw.
        plan=form.get("plan", ""),
    )
    return _to_incident(answered.incident)


@router.post("/incidents/{id}/cancel")
def cancel_form(project: Opened, by: By, id: Id, form: Form) -> Response:
    """Stop an incident."""
    acts.cancel(project, id, by=by.name, reason=form.get("reason", ""))
    return _to_incident(id)


@router.post("/incidents/{id}/retry")
def retry_form(project: Opened, by: By, id: Id, form: Form) -> Response:
    """Handle an ended incident again."""
    return _to_incident(acts.retry(project, id, by=by.name, reason=form.get("reason", "")))


@router.post("/incidents/{id}/propose")
def propose_form(project: Opened, by: By, id: Id, form: Form) -> Response:
    """Handle an ended incident again, with the entry of the button that a person pressed."""
    given = form.get("entry", "")
    return _to_incident(propose(project, id, given, values={}, by=by.name, reason=""))


def _to_incident(incident: int) -> Response:
    return RedirectResponse(f"/incidents/{incident}", status_code=303)


def _page(request: Request, project: Project, by: Actor, template: str, **values: Any) -> Response:
    with project.database.read() as tx:
        paused = switches.paused(tx)
        waiting = len(approvals.open_approvals(tx))
    shown = views.render(
        template,
        here=request.url.path,
        who=by.name.removeprefix("user:"),
        role=by.role,
        environment=project.config.environment,
        level=project.config.level,
        paused=paused,
        waiting=waiting,
        **values,
    )
    return HTMLResponse(shown)


def is_page(request: Request) -> bool:
    """Whether a person is looking, who should be told by a page and not by JSON."""
    path = request.url.path
    return not path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def problem(request: Request, refusal: Refusal) -> Response:
    """The page that says why something was refused."""
    shown = views.render(
        "problem.html",
        here=request.url.path,
        who="",
        role="",
        environment="",
        level="",
        paused=None,
        waiting=0,
        status=refusal.status,
        sentence=refusal.sentence,
    )
    return HTMLResponse(shown, refusal.status, refusal.headers)
