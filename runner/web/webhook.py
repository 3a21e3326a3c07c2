"""Alertmanager's webhook: stored, acknowledged, and nothing else (invariant 1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from runner import acts
from runner.errors import BadDelivery, StoreError
from runner.incident import Level
from runner.store.database import Database
from runner.text import cut
from runner.web.auth import ANONYMOUS, Actor
from runner.web.replies import Json, Refusal, documented

MAX_SENTENCE = 200  #: characters: Alertmanager copies a refusal into its log
WRITERS = 8  #: deliveries parsed and stored at once; they share no thread with the pages
#: Seconds that a delivery waits for its turn: less than the ten after which it is sent again.
TURN_SECONDS = 8.0

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": (
            "Alertmanager's webhook message (version 4), Grafana's (version 1), or a list of "
            "alerts as Alertmanager's `/api/v2/alerts` answers."
        ),
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        {"type": "object"},
                        {"type": "array", "items": {"type": "object"}},
                    ]
                }
            }
        },
    }
}

T = TypeVar("T")

router = APIRouter()
_threads = anyio.CapacityLimiter(WRITERS)


def writers(database: Database) -> anyio.CapacityLimiter:
    """How many deliveries are stored at once.

    SQLite has one writer, and those that queue up inside it poll for their turn: with eight
    the slowest acknowledgement took seven times as long.
    """
    return anyio.CapacityLimiter(1 if database.sqlite else WRITERS)


class Unread(BaseModel):
    """One alert that could not be read; it is kept as a dead letter."""

    alert: int = Field(description="Its position in the body, from 0.")
    reason: str


class Stored(BaseModel):
    """The delivery is on disk; whatever happens now, its alerts are not lost."""

    delivery: int = Field(description="Its number in the store.")
    unread: list[Unread] = Field(description="Alerts that could not be read. The others count.")


@router.post(
    "/api/v1/alerts",
    response_model=Stored,
    responses=documented(415),
    openapi_extra=_BODY,
    tags=["alerts"],
)
async def deliver(request: Request, level: Level = Level.AUTO) -> Response:
    """Store one message of Alertmanager or Grafana, or a list of alerts as `/api/v2/alerts` has.

    `level` can only lower how far the runner may go.
    """
    project, body = request.app.state.project, await request.body()  # the guard has read it
    origin: dict[str, Any] = {"source": "webhook", "sender": sender_of(request), "ceiling": level}
    if problem := _wrong_type(request):
        refuse = partial(acts.refuse, project, body, reason=problem, **origin)
        await _in_turn(request, refuse)
        raise Refusal(415, problem)
    try:
        found = await _in_turn(request, partial(acts.deliver, project, body, **origin))
    except BadDelivery as error:
        raise Refusal(400, cut(str(error), MAX_SENTENCE)) from None
    request.state.alerts = found.alerts  # for the metrics
    unread = [{"alert": each.position, "reason": each.reason} for each in found.unread]
    return Json({"delivery": found.delivery, "unread": unread})


def sender_of(request: Request) -> str:
    """Whose credential it was. Where nobody logs in, no person can be told from another one."""
    actor: Actor = request.state.actor
    return "anonymous" if actor == ANONYMOUS else actor.name


async def _in_turn(request: Request, store: Callable[[], T]) -> T:
    writers: anyio.CapacityLimiter = request.app.state.writers
    try:
        with anyio.fail_after(TURN_SECONDS):
            await writers.acquire()
    except TimeoutError:
        raise StoreError("the store is too slow for what arrives") from None
    try:
        return await anyio.to_thread.run_sync(store, limiter=_threads)
    finally:
        writers.release()


def _wrong_type(request: Request) -> str:
    """Why the body is not read, whatever is in it; nothing when it may be."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        return "Compressed bodies are rejected; send it uncompressed."
    kind = request.headers.get("content-type", "application/json").partition(";")[0]
    if kind.strip().lower() != "application/json":
        return "The body must be sent with Content-Type: application/json."
    return ""
