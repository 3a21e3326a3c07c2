"""Verify: did the run have its effect? Fixed, not fixed, or unknown; never guessed.

`observe_once` looks, `settle` judges what was seen so far, and `verify` is the loop
of both for callers that need no durable steps in between.
"""

from __future__ import annotations

import ipaddress
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from runner import client
from runner.catalog.entry import VerifyCheck
from runner.config import Client
from runner.errors import Refused, RemoteError
from runner.incident import Check, Result, Verification
from runner.text import brief
from runner.text.duration import write
from runner.text.promql import fill

#: No verification waits longer, whatever the alert's look-back window is.
LONGEST = timedelta(hours=2)
REPORTED = "result"  #: the kind of a check of what the play reported
_SHORTEST_POLL = timedelta(milliseconds=100)
_OF_HOSTS = re.compile(r"\$(?:host\b|\{host\})")  # a check that asks about each host
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")
_PORT = re.compile(r"[0-9]{1,5}")

Observation = tuple[datetime, Result]


class Point(Protocol):
    """What a query gives: a sample with a value, NaN when it is not known."""

    @property
    def value(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where the checks look. A source that is None leaves its checks unknown."""

    #: fixed: absent from Alertmanager; not_fixed: firing; silenced or inhibited: unknown
    alert_cleared: Callable[[], Result] = lambda: Result.UNKNOWN
    query: Callable[[str], Sequence[Point]] | None = None
    http: Callable[[str], int] | None = None  #: URL → status; `http_status` is one
    values: Mapping[str, str] = field(default_factory=dict)  #: host, instance, for `$name`
    #: (inventory name, address) of every host of the run: a check that names `$host` looks
    #: at each, a query by name and a URL by address; when empty, `values` has the host
    hosts: tuple[tuple[str, str], ...] = ()
    addresses: frozenset[str] = frozenset()  #: of the plan's hosts; others are not called
    results: Mapping[str, Any] = field(default_factory=dict)  #: what `set_stats` reported


def observe_once(checks: Sequence[VerifyCheck], sources: Sources) -> tuple[Check, ...]:
    """What each check sees right now. Never raises: a source that fails is unknown."""
    found = []
    for check in checks:
        if not sources.hosts or not _OF_HOSTS.search(check.promql or check.http or ""):
            found.append(_observed(check, sources))
            continue
        for name, address in sources.hosts:
            values = {**sources.values, "host": name if check.http is None else address}
            one = replace(sources, values=values, hosts=((name, address),))
            found.append(_observed(check, one))
    return tuple(found)


def combine(checks: Sequence[Check]) -> Result:
    """Fixed only if every check is; not_fixed if any is; no checks prove nothing."""
    results = {check.result for check in checks}
    if Result.NOT_FIXED in results:
        return Result.NOT_FIXED
    return Result.FIXED if results == {Result.FIXED} else Result.UNKNOWN


def deadline(
    started: datetime, *, within: timedelta, hold: timedelta, lookback: timedelta = timedelta()
) -> datetime:
    """When to stop looking: after `within`, but not before the alert's past has left its window."""
    return started + min(max(within, lookback + hold), LONGEST)


def largest_gap(poll: timedelta) -> timedelta:
    """The longest time between two looks that still counts as having looked all along."""
    return 3 * poll + timedelta(minutes=1)


def settle(
    observations: Sequence[Observation],
    now: datetime,
    deadline: datetime,
    hold: timedelta,
    *,
    gap: timedelta | None = None,
) -> Result | None:
    """The answer that `observations` (oldest first) allow at `now`; None to look again.

    Fixed as soon as the last of them were all fixed over at least `hold`, without a
    gap longer than `gap` between two. At the deadline: not_fixed if the last `hold`
    saw any not_fixed, else unknown.
    """
    held = timedelta(-1)  # how long the last of them were all fixed
    later = observations[-1][0] if observations else now
    for at, seen in reversed(observations):
        between = later - at
        if seen is not Result.FIXED or between < timedelta() or (gap and between > gap):
            break
        later, held = at, observations[-1][0] - at
    if held >= hold:
        return Result.FIXED
    if now < deadline:
        return None
    recent = [seen for at, seen in observations if observations[-1][0] - at <= hold]
    return Result.NOT_FIXED if Result.NOT_FIXED in recent else Result.UNKNOWN


def already_told(checks: Sequence[Check]) -> Result | None:
    """The answer that looking again cannot change, because what the play reported stays.

    None where it can: a wrong report stands against any effect, but one that is missing
    may still be outdone by another check that is not fixed.
    """
    reported = [check.result for check in checks if check.kind == REPORTED]
    if Result.NOT_FIXED in reported:
        return Result.NOT_FIXED
    return Result.UNKNOWN if Result.UNKNOWN in reported and len(reported) == len(checks) else None


def verify(
    checks: Sequence[VerifyCheck],
    sources: Sources,
    *,
    within: timedelta,
    hold: timedelta,
    poll: timedelta,
    now: Callable[[], datetime],
    sleep: Callable[[float], None],
    lookback: timedelta = timedelta(),
    cancelled: Callable[[], bool] = lambda: False,
    early: bool = False,
) -> Verification:
    """Looks each `poll` until the answer is settled, the deadline is over, or it is cancelled.

    With `early` it also ends once looking again cannot change the answer. Without, an alert
    has the time to clear late, which whoever would run it again must see first.
    """
    started, poll = now(), max(poll, _SHORTEST_POLL)
    end = deadline(started, within=within, hold=hold, lookback=lookback)
    seen: list[Observation] = []
    for _ in range(math.ceil((end - started) / poll) + 2):  # ends even if the clock stands still
        checked = observe_once(checks, sources)
        at = now()
        seen.append((at, combine(checked)))
        result = settle(seen, at, end, hold, gap=largest_gap(poll))
        if result is None and cancelled():
            break
        if result is None and early:
            result = already_told(checked)
        if result is not None:
            return conclude(result, checked, started=started, at=at, hold=hold)
        left = max((end - at).total_seconds(), 0.0)
        sleep(min(poll.total_seconds(), left))
    at, why = now(), "verification was cancelled" if cancelled() else "the clock did not move on"
    return Verification(result=Result.UNKNOWN, reason=f"Unknown: {why}.", checks=checked, at=at)


def conclude(
    result: Result, checks: Sequence[Check], *, started: datetime, at: datetime, hold: timedelta
) -> Verification:
    """The verification of a settled `result`, with a sentence that names what stood against it."""
    took = write(timedelta(seconds=max(0, round((at - started).total_seconds()))))
    if result is Result.FIXED:
        reason = f"Fixed: every check held for {write(hold)}, {took} after the run."
    elif open_ := [check for check in checks if check.result is not Result.FIXED]:
        said = "; ".join(f"{check.kind} {check.target}: {check.seen}" for check in open_)
        reason = f"{_WORDS[result]} after {took}: {said}."
    elif checks:
        reason = f"{_WORDS[result]} after {took}: the checks did not hold for {write(hold)}."
    else:
        reason = "Unknown: the entry has no checks."
    return Verification(result=result, reason=reason, checks=tuple(checks), at=at)


_WORDS = {Result.NOT_FIXED: "Not fixed", Result.UNKNOWN: "Unknown", Result.FIXED: "Fixed"}


def _observed(check: VerifyCheck, sources: Sources) -> Check:
    kind, target = REPORTED, ", ".join(check.result or ())
    try:
        if check.alert is not None:
            kind, target = "alert", "cleared"
            result = sources.alert_cleared()
            seen = _CLEARED[result]
        elif check.promql is not None:
            kind, target = "promql", check.promql
            result, seen = _promql(check.promql, sources)
        elif check.http is not None:
            kind, target = "http", check.http
            result, seen = Result.UNKNOWN, "no HTTP client is given"
            if sources.http is not None:
                status = sources.http(fill_url(check.http, sources.values, sources.addresses))
                result = Result.FIXED if status == check.status else Result.NOT_FIXED
                redirect = ", a redirect, which is not followed" if 300 <= status < 400 else ""
                seen = f"it answers {status}{redirect}, wanted is {check.status}"
        else:
            result, seen = _reported(check.result or {}, sources)
    # a bug in a source must leave the effect unknown, not lose the verification of a run
    except Exception as error:
        result, seen = Result.UNKNOWN, f"it cannot be checked: {brief(str(error), 200)}"
    if "$" in target and len(sources.hosts) == 1:
        seen = f"{sources.hosts[0][0]}: {seen}"
    return Check(kind=kind, target=target, result=result, seen=seen)


_CLEARED = {
    Result.FIXED: "it no longer fires",
    Result.NOT_FIXED: "it still fires",
    Result.UNKNOWN: "nobody who can be asked answers for it, or it is silenced or inhibited",
}


def _promql(template: str, sources: Sources) -> tuple[Result, str]:
    if sources.query is None:
        return Result.UNKNOWN, "no Prometheus is configured"
    promql = fill(template, sources.values)
    samples = sources.query(promql)
    if any(math.isnan(sample.value) for sample in samples):
        return Result.UNKNOWN, "it gives NaN, which is no value"
    if samples and returns_bool(promql) and any(sample.value == 0 for sample in samples):
        return Result.NOT_FIXED, "it gives 0"
    if samples:
        return Result.FIXED, f"it gives {len(samples)} samples, the first is {samples[0].value:g}"
    parts = subjects(promql)
    if parts and all(sources.query(part) for part in parts):
        return Result.NOT_FIXED, "it gives nothing, though there is data"
    return Result.UNKNOWN, "it gives nothing, and neither does what it compares"


def _reported(wanted: Mapping[str, Any], sources: Sources) -> tuple[Result, str]:
    missing = [name for name in wanted if name not in sources.results]
    if missing or not wanted:
        return Result.UNKNOWN, f"the play did not report {', '.join(missing) or 'anything'}"
    wrong = [name for name, value in wanted.items() if sources.results[name] != value]
    if wrong:
        shown = ", ".join(f"{name}={brief(str(sources.results[name]))}" for name in wrong)
        return Result.NOT_FIXED, f"the play reported {shown}"
    return Result.FIXED, "the play reported it"


def fill_url(template: str, values: Mapping[str, str], addresses: frozenset[str]) -> str:
    """The URL with `$host` and `$instance` filled, each an address of the plan's hosts.

    Raises Refused for any other scheme than http and https, for a name without a
    value, and for a value that is not a host of the plan with or without a port.
    """
    parts = urlsplit(template)
    if parts.scheme not in ("http", "https"):
        raise Refused(f"{brief(template)} is not an http or https URL")
    rest = template.split("://", 1)[1][len(parts.netloc) :]
    if _VARIABLE.search(rest):
        raise Refused(f"{brief(template)}: a variable may stand only for the host")

    def address(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in values:
            raise Refused(f"{brief(template)} needs a value for ${name}, and there is none")
        value = values[name]
        host, port = value, ""
        if value not in addresses:
            before, _, after = value.rpartition(":")
            if before and _PORT.fullmatch(after):
                host, port = before, after
            host = host.removeprefix("[").removesuffix("]")
        if host not in addresses:
            raise Refused(f"{brief(value)} is not an address of the plan's hosts")
        if not _HOST.fullmatch(host):
            try:
                host = f"[{ipaddress.IPv6Address(host).compressed}]"
            except ValueError:
                raise Refused(f"{brief(value)} is not a host name or an address") from None
        return f"{host}:{port}" if port else host

    return f"{parts.scheme}://{_VARIABLE.sub(address, parts.netloc)}{rest}"


def http_status(
    url: str, *, timeout: timedelta = timedelta(seconds=5), settings: Client | None = None
) -> int:
    """The status that `url` answers to GET. Redirects are not followed, no body is read.

    Raises httpx.HTTPError when there is no answer, RemoteError when its certificate is not
    trusted, ConfigError when files of `settings` cannot be used. Ends after two timeouts, also
    when the other side sends a byte now and then.
    """
    seconds = timeout.total_seconds()
    with client.open_client(timeout, settings=settings or Client()) as opened:
        alarm = threading.Timer(seconds, opened.close)
        alarm.daemon = True
        alarm.start()
        try:
            with opened.stream("GET", url) as response:
                return response.status_code
        except httpx.HTTPError as error:
            if why := client.problem(error):
                raise RemoteError(why) from None
            raise
        finally:
            alarm.cancel()


_TOKEN = re.compile(
    r'"(?:\\.|[^"\\])*"'
    r"|'(?:\\.|[^'\\])*'"
    r"|`[^`]*`|#[^\n]*"
    r"|[()\[\]{}]|[=!<>]=|=~|!~|[<>]|\b(?:and|or|unless|bool)\b",
    re.IGNORECASE,
)
_OPERATORS = frozenset({"==", "!=", "<", ">", "<=", ">="})
_SIGNED_NUMBER = re.compile(r"\s*[+-]?\s*(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?\s*", re.IGNORECASE)


_MATCHING = re.compile(r"^\s*(?:on|ignoring)\s*\([^()]*\)")
_ABSENT = re.compile(r"\s*(absent(?:_over_time)?)\s*\((.*)\)\s*", re.DOTALL)


def returns_bool(promql: str) -> bool:
    """Whether a comparison in `promql` answers 0 or 1 instead of dropping samples."""
    return any(match[0].lower() == "bool" for match, _ in _tokens(promql))


def subjects(promql: str) -> tuple[str, ...]:
    """The queries that must have data for an empty answer of `promql` to mean no.

    They are its sides of `and`, each without its trailing comparison with a number.
    Empty when that cannot be told: an empty answer then stays unknown.
    """
    words = [match for match, depth in _tokens(promql) if depth == 0]
    if any(word[0].lower() == "or" for word in words):
        return ()
    end = next((word.start() for word in words if word[0].lower() == "unless"), len(promql))
    edges = [0]
    for word in words:
        if word[0].lower() == "and" and word.end() <= end:
            edges += word.span()
    edges.append(end)
    found = []
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        side = _MATCHING.sub("", promql[a:b])
        if absent := _ABSENT.fullmatch(side):
            inside = absent[2].strip()
            found.append(inside if absent[1] == "absent" else f"present_over_time({inside})")
            continue
        outside = [word for word, depth in _tokens(side) if depth == 0]
        comparisons = [word for word in outside if word[0] in _OPERATORS]
        if not comparisons or not _SIGNED_NUMBER.fullmatch(side[comparisons[-1].end() :]):
            return ()
        found.append(side[: comparisons[-1].start()].strip())
    return tuple(found) if all(found) else ()


def _tokens(promql: str) -> Iterator[tuple[re.Match[str], int]]:
    """Operator words and comparisons outside strings, each with its depth in brackets."""
    depth = 0
    for match in _TOKEN.finditer(promql):
        token = match[0]
        if token in "([{":
            depth += 1
        elif token in ")]}":
            depth -= 1
        elif token[0] not in "\"'`#":
            yield match, depth
