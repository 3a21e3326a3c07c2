"""The webhooks, Alertmanager's and other senders': stored, acknowledged, and nothing else
(invariant 1)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

_ANY_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Whatever JSON the table of the source describes.",
        "content": {"application/json": {"schema": {}}},
    }
}
_JSON = ("application/json",)

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
    return await _taken(
        request, source="webhook", kinds=_JSON, sender=sender_of(request), ceiling=level
    )


@router.post(
    "/api/v1/sources/{name}",
    response_model=Stored,
    responses=documented(415),
    openapi_extra=_ANY_BODY,
    tags=["alerts"],
)
async def deliver_from(request: Request, name: str) -> Response:
    """Store one message of another sender, in its own JSON, by its table in `intake.sources`.

    It takes the credential of this source and no other.
    """
    actor: Actor = request.state.actor
    if actor.name != f"source:{name}":
        raise Refusal(403, "This address takes the credential of its own source only.")
    # Amazon's SNS calls its JSON plain text.
    return await _taken(request, source=name, kinds=(*_JSON, "text/plain"), sender=actor.name)


async def _taken(
    request: Request,
    *,
    source: str,
    kinds: Sequence[str],
    sender: str,
    ceiling: Level = Level.AUTO,
) -> Response:
    """Store the body, or keep it as a dead letter and say what is wrong with it."""
    project, body = request.app.state.project, await request.body()  # the guard has read it
    origin: dict[str, Any] = {"source": source, "sender": sender, "ceiling": ceiling}
    if problem := _wrong_type(request, kinds):
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


def _wrong_type(request: Request, kinds: Sequence[str]) -> str:
    """Why the body is not read, whatever is in it; nothing when it may be."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        return "Compressed bodies are rejected; send it uncompressed."
    kind = request.headers.get("content-type", "application/json").partition(";")[0]
    if kind.strip().lower() not in kinds:
        return "The body must be sent with Content-Type: application/json."
    return ""
