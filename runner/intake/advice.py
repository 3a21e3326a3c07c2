"""What to recommend about the part of alertmanager.yml that calls us. Advice, never an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from runner.text import brief
from runner.text.duration import parse


def advise(alertmanager_yml: str, receiver: str) -> tuple[str, ...]:
    """A sentence for each setting of `receiver` and its routes that we would change.

    Empty when all is well; one sentence when the file or the receiver cannot be found in it.
    """
    try:
        content = yaml.safe_load(alertmanager_yml)
    except (yaml.YAMLError, RecursionError, ValueError):
        content = None
    if not isinstance(content, dict):
        return ("alertmanager.yml is not a YAML mapping.",)
    hooks = [
        hook
        for each in _list(content.get("receivers"))
        if isinstance(each, dict) and each.get("name") == receiver
        for hook in _list(each.get("webhook_configs"))
        if isinstance(hook, dict)
    ]
    if not hooks:
        return (f"alertmanager.yml has no receiver {brief(receiver)!r} with webhook_configs.",)
    settings = content.get("global")
    everywhere = settings.get("http_config") if isinstance(settings, dict) else None
    of_hooks = [text for hook in hooks for text in _about_hook(hook, everywhere)]
    routes = _routes(content.get("route"), {})
    ours = [route for route in routes if route.get("receiver") == receiver]
    of_routes = [text for route in ours for text in _about_route(route, receiver)]
    of_routes += _swallowed(content.get("route"), receiver)
    if not ours:
        of_routes.append(f"No route leads to receiver {brief(receiver)!r}.")
    return tuple(dict.fromkeys(of_hooks + of_routes))


def _about_hook(hook: dict[str, Any], everywhere: Any) -> Iterator[str]:
    """`everywhere` is the `http_config` of `global`, which a hook without its own has."""
    if hook.get("max_alerts"):
        yield "Set max_alerts: 0; the alerts that it leaves out are the same ones every time."
    if hook.get("send_resolved") is False:
        yield "Set send_resolved: true, so that incidents end when the alert does."
    if hook.get("payload"):
        yield "Remove payload: only the body of version 4 is understood."
    if "timeout" in hook:  # older versions do not know it
        try:
            short = 0 < parse(hook["timeout"]).total_seconds() <= 30
        except ValueError:
            short = False
        if not short:
            yield "Set timeout: 10s, so that a lost answer is noticed and sent again."
    http = hook.get("http_config", everywhere)
    if not isinstance(http, dict) or not {"authorization", "basic_auth", "oauth2"} & http.keys():
        yield "Set http_config.authorization with a bearer token: messages are not signed."


def _about_route(route: dict[str, Any], receiver: str) -> Iterator[str]:
    """`route` leads to `receiver`, and holds what it inherits."""
    group_by = {str(label) for label in _list(route.get("group_by"))}
    if not {"instance", "..."} & group_by:
        yield "Let group_by include instance, so that one host does not wait for another."
    if route["top"]:
        yield "Give it a route of its own below the top one, so that its timing is its own."
    elif not route.get("continue") and not route["within"] == receiver:
        # Below a route of ours, it is that one's `continue` that decides.
        yield "Set continue: true on its route, so that people are still paged."


def _routes(route: Any, inherited: dict[str, Any], depth: int = 0) -> Iterator[dict[str, Any]]:
    """Every route with what it inherits: receiver and group_by; `top` for the first one.

    `within` is the receiver of the route around it, unless that is the first one.
    """
    if not isinstance(route, dict) or depth > 50:
        return
    own = {**inherited, **{k: v for k, v in route.items() if k != "routes"}, "top": not depth}
    own.setdefault("within", None)
    yield own
    passed_on = {key: own[key] for key in ("receiver", "group_by") if key in own}
    if depth:
        passed_on["within"] = own.get("receiver")
    for below in _list(route.get("routes")):
        yield from _routes(below, passed_on, depth + 1)


def _swallowed(route: Any, receiver: str, depth: int = 0) -> Iterator[str]:
    """A route that takes every alert before ours is reached, at each level down to it."""
    if not isinstance(route, dict) or depth > 50:
        return
    blocking: tuple[int, dict[str, Any]] | None = None
    for number, below in enumerate(_list(route.get("routes")), start=1):
        if not isinstance(below, dict):
            continue
        if any(each.get("receiver") == receiver for each in _routes(below, {})):
            if blocking is not None:
                place, first = blocking
                name = brief(str(first.get("receiver") or route.get("receiver")))
                yield (
                    f"Route {place}, to receiver {name!r}, has no matchers and takes every alert "
                    f"before the route to {brief(receiver)!r}: put it behind that route, or set "
                    "continue: true on it."
                )
            yield from _swallowed(below, receiver, depth + 1)
            return
        takes_all = not any(below.get(key) for key in ("matchers", "match", "match_re"))
        if blocking is None and takes_all and not below.get("continue"):
            blocking = number, below


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
