"""Sends rows to a receiver and says of each what was expected and what was answered."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from runner.errors import RemoteError, UsageError
from runner.intake.simulate.bodies import Maker
from runner.intake.simulate.rows import Row, closing
from runner.text import brief

#: Seconds after which Alertmanager would send a message again, so an answer is too late.
PATIENCE = 10.0
SHORT = 1000  #: bytes: Alertmanager copies a refusal into its log
AT_ONCE = 8  #: connections


@dataclass(frozen=True, kw_only=True)
class Response:
    """What came back for one body."""

    status: int = 0  #: 0 when nothing came
    seconds: float = 0.0
    error: str = ""  #: why nothing came
    length: int = 0  #: bytes of what was said


@dataclass(frozen=True, kw_only=True)
class Played:
    """One row: what was expected, and what was seen."""

    row: str
    words: str
    expected: str
    answered: str
    result: str  #: ok, failed or skipped
    problem: str = ""


def checked(url: str) -> str:
    """The URL, if messages may be sent to it. Raises UsageError."""
    parts = urlsplit(url)
    try:
        ok = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        ok = False
    if not ok:
        raise UsageError(f"{brief(url)} is not an http or https URL, as --against needs")
    if parts.username or parts.password:
        raise UsageError("put the token into a file for --token-file, not into the URL")
    return url


def requests_of(rows: Iterable[Row]) -> int:
    """How many messages are sent at most, those that tidy up included."""
    rows = tuple(rows)
    return sum(row.requests + (row.reads and row.opens > 0) for row in rows)


def play(rows: Iterable[Row], url: str, token: str = "") -> Iterator[Played]:
    """Plays one row after the other. Raises RemoteError when nobody answers at `url`."""
    with httpx.Client(timeout=PATIENCE, follow_redirects=False, trust_env=False) as client:
        receiver = Webhook(client, checked(url), token)
        for row in rows:
            yield play_row(row, receiver)


class Webhook:
    """Whom the messages go to."""

    def __init__(self, client: httpx.Client, url: str, token: str = "") -> None:
        self._client = client
        self._url = url
        self.token = token
        self._answered = False

    def send(self, body: bytes, *, anonymous: bool = False) -> Response:
        """Post one body; never raises once anything has been answered."""
        headers = {"Content-Type": "application/json", "User-Agent": "Alertmanager/runner-simulate"}
        if self.token and not anonymous:
            headers["Authorization"] = f"Bearer {self.token}"
        begun = time.perf_counter()
        try:
            answer = self._client.post(self._url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            why = brief(str(error) or type(error).__name__)
            if not self._answered and isinstance(error, httpx.ConnectError):
                raise RemoteError(f"{self._url} cannot be reached: {why}") from None
            return Response(error=why, seconds=time.perf_counter() - begun)
        self._answered = True
        took = time.perf_counter() - begun
        return Response(status=answer.status_code, seconds=took, length=len(answer.content))


def play_row(row: Row, receiver: Webhook, make: Maker | None = None) -> Played:
    """Sends a row's bodies, then one that resolves what they left firing."""
    if row.anonymous and not receiver.token:
        return _result(row, "skipped", "", "there is no token to leave out: give --token-file")
    make = make or Maker(row=row.name)
    bodies = list(row.bodies(make))
    if row.at_once:
        with ThreadPoolExecutor(min(AT_ONCE, len(bodies))) as pool:
            answers = list(pool.map(receiver.send, bodies))
    else:
        answers = [receiver.send(body, anonymous=row.anonymous) for body in bodies]
    tidy = closing(row, make)
    if tidy is not None and any(200 <= answer.status < 300 for answer in answers):
        answers.append(receiver.send(tidy))
    said = sorted({str(answer.status) if answer.status else "nothing" for answer in answers})
    slowest = max(answer.seconds for answer in answers)
    answered = f"{', '.join(said)} within {slowest * 1000:.0f} ms"
    problems = dict.fromkeys(filter(None, (_problem(row, answer) for answer in answers)))
    return _result(row, "failed" if problems else "ok", answered, "; ".join(problems))


def _problem(row: Row, answer: Response) -> str:
    """What is wrong with an answer, and what it leads to; empty when it is right."""
    if not answer.status:
        return f"no answer ({answer.error}): it is sent again, by every peer"
    if answer.seconds > PATIENCE:
        return "too late: it is sent again while the first one is still worked on"
    if row.expected.fits(answer.status):
        too_long = answer.status >= 400 and answer.length > SHORT
        return "the refusal is long, and is copied into Alertmanager's log" if too_long else ""
    match answer.status:
        case 429:
            then = "Alertmanager does not slow down; it drops the message until the next flush"
        case status if 300 <= status < 400:
            then = "a redirect is followed with the body and without the token"
        case status if status >= 500:
            then = "it is sent again and again until the next flush"
        case status if status >= 400:
            then = "the message is dropped until the next flush, and is lost if the alert ends"
        case _:
            then = "it counts as delivered, and is never sent again"
    return f"{answer.status}: {then}"


def _result(row: Row, result: str, answered: str, problem: str) -> Played:
    return Played(
        row=row.name,
        words=row.words,
        expected=row.expected.value,
        answered=answered,
        result=result,
        problem=problem,
    )
