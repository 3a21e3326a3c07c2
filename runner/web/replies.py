"""How answers look: JSON that always encodes, and one sentence for everything refused."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from runner.errors import (
    BadDelivery,
    NotFound,
    RunnerError,
    StoreError,
    UsageError,
)
from runner.incident_report import to_json
from runner.text import brief

MAX_SENTENCE = 400  #: characters of one refusal; a webhook's are shorter
RETRY_AFTER = "5"  #: seconds

_CHALLENGES = ('Basic realm="runner", charset="UTF-8"', 'Bearer realm="runner"')


class Problem(BaseModel):
    """Why it was refused."""

    error: str = Field(description="One sentence: what is wrong, and what to do.")


class Refusal(Exception):
    """A request that is answered with a status and one sentence."""

    def __init__(self, status: int, sentence: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.headers = headers or {}


class Json(Response):
    """JSON of any noun. What JSON cannot hold becomes null or an escape, never an error."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        plain = to_json(content)
        try:
            return json.dumps(plain, allow_nan=False).encode()
        except ValueError:
            return json.dumps(_finite(plain), allow_nan=False).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


def status_of(error: RunnerError) -> int:
    """The HTTP status that says the same as this error."""
    if isinstance(error, StoreError):
        return 503
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, BadDelivery):
        return 400
    # What is left says that it cannot be done as things are now.
    return 422 if isinstance(error, UsageError) else 409


def as_refusal(error: RunnerError) -> Refusal:
    """The refusal that tells this error. The store's own words stay in our log."""
    status = status_of(error)
    sentence = "The store is unavailable." if status == 503 else brief(str(error), MAX_SENTENCE)
    return Refusal(status, sentence)


def refuse(refusal: Refusal) -> Response:
    """The JSON answer of a refusal."""
    response = Json({"error": refusal.sentence}, refusal.status, refusal.headers)
    if refusal.status == 401:
        for challenge in _CHALLENGES:
            response.headers.append("WWW-Authenticate", challenge)
    if refusal.status == 503:
        response.headers["Retry-After"] = RETRY_AFTER
    if refusal.status in (401, 408, 413, 415):
        # The rest of the body is not read, so nothing can follow on this connection.
        response.headers["Connection"] = "close"
    return response


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route for OpenAPI, besides those that every route has."""
    every = {400, 401, 403, 408, 413, 422, 503, *statuses}
    return {
        status: {"model": Problem, "description": HTTPStatus(status).phrase}
        for status in sorted(every)
    }
