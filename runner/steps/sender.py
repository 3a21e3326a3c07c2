"""Whether an alert of another sender still fires: asked as `confirm:` of its source says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx
from jmespath.exceptions import JMESPathError

from runner import client, verify
from runner.catalog.entry import VerifyCheck
from runner.config import Client, Confirm, Watch
from runner.errors import BadDelivery, Refused, RemoteData, RemoteError
from runner.incident import Incident, Result
from runner.intake.payload import read_json
from runner.intake.senders import Evaluation, TooMuch
from runner.intake.watching import look
from runner.project import Project
from runner.steps.gather import values_of
from runner.text import brief

MAX_ANSWER = 1024 * 1024  #: bytes of the answer of a sender's API
_NAME = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)


def still_fires(project: Project, incident: Incident) -> bool | None:
    """Whether it fires; None where the source has no `confirm:`, so that nobody can be asked.

    Raises RemoteError when it cannot be told, Refused when a value for the question is missing,
    or the source is no longer configured.
    """
    name = incident.alert.other_sender
    source = project.config.intake.source(name)
    if source is None:
        raise Refused(f"{name} is no longer in intake.sources")
    if (confirm := source.confirm) is None:
        return None
    values = values_of(incident) | {"id": incident.alert.pair}
    if confirm.promql is not None:
        return _by_query(project, confirm.promql, values)
    if confirm.http is not None:
        return _by_http(project, incident, confirm, confirm.http, values)
    return _by_api(confirm, str(confirm.api), values)


def _by_query(project: Project, promql: str, values: Mapping[str, str]) -> bool:
    query = project.prometheus.query if project.prometheus is not None else None
    sources = verify.Sources(query=query, values=values)
    (seen,) = verify.observe_once([VerifyCheck(promql=promql)], sources)
    if seen.result is Result.UNKNOWN:
        raise RemoteError(f"{promql}: {seen.seen}")
    return seen.result is Result.FIXED  # the query, which is for trouble, gives something


def _by_http(
    project: Project, incident: Incident, confirm: Confirm, url: str, values: Mapping[str, str]
) -> bool:
    """Whether it answers otherwise at one of the incident's hosts, looked at as a watch does."""
    inventory = project.inventory().hosts
    known = [inventory[name] for name in incident.hosts if name in inventory]
    addresses = {one.name: str(one.variables.get("ansible_host", one.name)) for one in known}
    ours = frozenset({*addresses, *addresses.values()})
    urls = {verify.fill_url(url, {**values, "host": one}, ours) for one in addresses.values()}
    if not urls:
        raise Refused("it is about no host, so confirm.http has none to ask")
    asked = {name: getattr(confirm, name) for name in (*Client.model_fields, "timeout", "status")}
    return any(look(Watch(name="confirm", http=each, **asked), None)() for each in sorted(urls))


def _by_api(confirm: Confirm, url: str, values: Mapping[str, str]) -> bool:
    """What the API answers, by the expression `firing`. Values only ever become texts inside
    the query and the body, each encoded as a whole: they change neither the URL nor the JSON."""
    query, body = _filled(confirm.query, values), _filled(confirm.body, values)
    address, login = client.split_credentials(url)
    headers = confirm.sent() | confirm.auth.headers()
    try:
        with (
            client.open_client(confirm.timeout, settings=confirm) as opened,
            opened.stream(
                "GET" if body is None else "POST",
                address,
                params=query or None,
                json=body,
                headers=headers,
                auth=login,
            ) as response,
        ):
            if response.status_code != 200:
                raise RemoteError(f"{address} answers {response.status_code}")
            answer = client.read(response, limit=MAX_ANSWER, timeout=confirm.timeout)
    except httpx.HTTPError as error:
        why = client.problem(error) or brief(str(error)) or "the connection broke"
        raise RemoteError(f"{address} cannot be asked: {why}") from None
    try:
        fires = Evaluation().of(str(confirm.firing), read_json(answer))
    except (BadDelivery, JMESPathError, TooMuch) as error:
        text = brief(str(error), 160) or "it takes too many steps to read"
        raise RemoteData(f"the answer of {address} cannot be read: {text}") from None
    if not isinstance(fires, bool):
        raise RemoteData(f"the answer of {address} is neither true nor false by confirm.firing")
    return fires


def _filled(content: Any, values: Mapping[str, str]) -> Any:
    """The same with `$name` and `${name}` in its texts replaced. Raises Refused."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not values.get(name):
            raise Refused(f"confirm.api needs a value for ${name}, and there is none")
        return values[name]

    if isinstance(content, str):
        return _NAME.sub(value, content)
    if isinstance(content, dict):
        return {name: _filled(below, values) for name, below in content.items()}
    if isinstance(content, list):
        return [_filled(below, values) for below in content]
    return content
