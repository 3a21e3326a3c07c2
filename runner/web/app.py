"""The web application: the guard, the routes, and what an error is answered with."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from runner import __version__
from runner.errors import RunnerError
from runner.project import Project
from runner.text import brief
from runner.web import api, events, pages, ready, webhook
from runner.web.auth import Gate
from runner.web.guard import Guard, Metrics
from runner.web.replies import Refusal, as_refusal, refuse

STATIC = Path(__file__).parent / "static"


def create_app(project: Project, metrics: Metrics) -> FastAPI:
    """The application on this project. Raises ConfigError when a secret file is missing."""
    # Now, not with the first request.
    gate = Gate(project.config.listen, project.config.intake.sources)
    app = FastAPI(
        title="Remediation runner",
        version=__version__,
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        redirect_slashes=False,
    )
    app.state.project = project
    app.state.metrics = metrics
    app.state.readiness = ready.of(project)
    app.state.writers = webhook.writers(project.database)
    app.state.feed = events.Feed(project.database, project.config.listen.limits)
    for router in (webhook.router, events.router, api.router, api.watch, pages.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(RunnerError, _explained)
    app.add_exception_handler(Refusal, _explained)
    app.add_exception_handler(RequestValidationError, _explained)
    app.add_exception_handler(HTTPException, _explained)
    app.add_middleware(Guard, config=project.config, gate=gate, metrics=metrics)
    return app


def _explained(request: Request, error: Exception) -> Response:
    """Any refusal: a page for people, JSON for programs."""
    if isinstance(error, Refusal):
        refusal = error
    elif isinstance(error, RunnerError):
        refusal = as_refusal(error)
    elif isinstance(error, RequestValidationError):
        # The webhook's own refusals are all 400, which Alertmanager does not repeat at once.
        status = 400 if request.url.path == "/api/v1/alerts" else 422
        found = error.errors()[0]
        place = ".".join(str(part) for part in found["loc"])
        refusal = Refusal(status, brief(f"{place}: {found['msg']}.", 190))
    else:
        assert isinstance(error, HTTPException)
        refusal = Refusal(error.status_code, f"{error.detail}.", dict(error.headers or {}))
    return pages.problem(request, refusal) if pages.is_page(request) else refuse(refusal)
