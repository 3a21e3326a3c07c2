"""Alertmanager's webhook: stored, acknowledged, and nothing else (invariant 1)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

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
from runner.web.replies import Json, Refusal, documented

MAX_SENTENCE = 200  #: characters: Alertmanager copies a refusal into its log
WRITERS = 8  #: deliveries parsed and stored at once; they share no thread with the pages
#: Seconds that a delivery waits for its turn: less than the ten after which it is sent again.
TURN_SECONDS = 8.0

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Alertmanager's webhook message, version 4.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}

router = APIRouter()
_threads = anyio.CapacityLimiter(WRITERS)


def writers(database: Database) -> anyio.CapacityLimiter:
    """How many deliveries are stored at once.

    SQLite has one writer, and those that queue up inside it poll for their turn: with eight
    the slowest acknowledgement took seven times as long.
    """
    return anyio.CapacityLimiter(1 if database.sqlite else WRITERS)


class Stored(BaseModel):
    """The delivery is on disk; whatever happens now, its alerts are not lost."""

    delivery: int = Field(description="Its number in the store.")


@router.post(
    "/api/v1/alerts",
    response_model=Stored,
    responses=documented(415),
    openapi_extra=_BODY,
    tags=["alerts"],
)
async def deliver(request: Request, level: Level = Level.AUTO) -> Response:
    """Store one Alertmanager message. `level` can only lower how far the runner may go."""
    _check_type(request)
    store = partial(
        acts.deliver,
        request.app.state.project,
        await request.body(),  # the guard has read it, up to the limit
        source="webhook",
        ceiling=level,
    )
    try:
        async with _turn(request.app.state.writers):
            delivery = await anyio.to_thread.run_sync(store, limiter=_threads)
    except BadDelivery as error:
        raise Refusal(400, cut(str(error), MAX_SENTENCE)) from None
    return Json({"delivery": delivery})


@asynccontextmanager
async def _turn(limiter: anyio.CapacityLimiter) -> AsyncIterator[None]:
    try:
        with anyio.fail_after(TURN_SECONDS):
            await limiter.acquire()
    except TimeoutError:
        raise StoreError("the store is too slow for what arrives") from None
    try:
        yield
    finally:
        limiter.release()


def _check_type(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Refusal(415, "A compressed body is not taken; send it as it is.")
    kind = request.headers.get("content-type", "application/json").partition(";")[0]
    if kind.strip().lower() != "application/json":
        raise Refusal(415, "The body must be sent with Content-Type: application/json.")
