"""What the sources of a ruleset give: alerts of Alertmanager or none, and their host's label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from runner.rulebook.condition import Path
from runner.rulebook.file import Ruleset, Source
from runner.rulebook.matching import Field

_NAMESPACES = ("", "ansible.eda", "eda.builtin")
#: Filters that leave labels as they are.
_HARMLESS = ("noop", "insert_meta_info", "insert_hosts_to_meta")
INSTANCE = "instance"


@dataclass(frozen=True, kw_only=True)
class Events:
    """What an event of these sources can be."""

    alerts: bool  #: `event.alert` is one alert of Alertmanager
    messages: bool  #: `event.payload` is a body as it was sent
    each_alert: bool  #: what is said of a body is taken of each alert in it
    host: str | None  #: the label that names the host of a run; None where none does

    def reading(self, path: Path) -> str | Field:
        """The label, or the field, that a path of the event means for one alert.

        Raises ValueError with a predicate of what has the path.
        """
        first, rest = path.parts[:1], path.parts[1:]
        if path.root != "event":
            raise ValueError(f"reads {path.written}: facts and other events have no counterpart")
        if first == ("alert",) and self.alerts:
            return _of_alert(path, rest)
        if first == ("payload",) and self.messages:
            if rest[:1] == ("alerts",) and len(rest) > 2 and isinstance(rest[1], int):
                inner = rest[2:]
            elif rest[:1] in (("commonLabels",), ("groupLabels",)):
                inner = ("labels", *rest[1:])
            elif rest == ("status",):
                inner = rest
            else:
                raise ValueError(
                    f"reads {path.written}, which is no label of an alert; a table in "
                    "intake.sources says where the labels of other senders are"
                )
            if not self.each_alert:
                raise ValueError(
                    f"reads {path.written} of a message with several alerts, and the runner "
                    "decides alert by alert; --each-alert reads it so"
                )
            return _of_alert(path, inner)
        raise ValueError(f"reads {path.written}, which no alert of these sources has")


def events_of(ruleset: Ruleset, *, each_alert: bool) -> Events:
    """What the sources give. Raises ValueError with a predicate of the ruleset."""
    known = [source for source in ruleset.sources if _short(source) in ("alertmanager", "webhook")]
    if not known:
        names = ", ".join(source.plugin for source in ruleset.sources) or "none"
        raise ValueError(f"has no source that takes alerts of Alertmanager (sources: {names})")
    for source in known:
        for name in (name for each in source.filters for name in each):
            if str(name).rpartition(".")[2] not in _HARMLESS:
                raise ValueError(f"changes its events by the filter {name}")
    alertmanagers = [source for source in known if _short(source) == "alertmanager"]
    hosts = {label for source in known for label in _hosts(source)}
    if len(hosts) > 1:
        raise ValueError("has sources that name the host by different labels; split it")
    return Events(
        alerts=bool(alertmanagers),
        messages=any(not _arguments(source).get("skip_original_data") for source in known),
        each_alert=each_alert,
        host=next(iter(hosts), None),
    )


def _short(source: Source) -> str:
    namespace, _, name = source.plugin.rpartition(".")
    return name if namespace in _NAMESPACES else ""


def _arguments(source: Source) -> dict[str, Any]:
    return source.arguments if _short(source) == "alertmanager" else {}


def _hosts(source: Source) -> Iterator[str]:
    """The label that gives the host. Raises ValueError with a predicate of the ruleset."""
    inserted = [
        arguments
        for each in source.filters
        for name, arguments in each.items()
        if str(name).endswith("insert_hosts_to_meta")
    ]
    for arguments in inserted:
        given = arguments if isinstance(arguments, dict) else {}
        parts = str(given.get("host_path") or "").split(str(given.get("path_separator") or "."))
        if parts[:2] != ["alert", "labels"] or len(parts) != 3:
            raise ValueError("names the host by something else than a label of the alert")
        yield parts[2]
    if _short(source) == "webhook" or inserted:
        return
    separator = str(source.arguments.get("data_path_separator") or ".")
    if str(source.arguments.get("data_alerts_path", "alerts")) != "alerts":
        raise ValueError("takes alerts from elsewhere than `alerts` of a message")
    path = str(source.arguments.get("data_host_path", f"labels{separator}{INSTANCE}"))
    if not path:
        return
    root, _, label = path.partition(separator)
    if root != "labels" or not label or separator in label:
        raise ValueError("names the host by something else than a label of the alert")
    yield label


def _of_alert(path: Path, inner: tuple[str | int, ...]) -> str | Field:
    if inner == ("status",):
        return Field.STATUS
    if len(inner) == 2 and inner[0] == "labels" and isinstance(inner[1], str) and inner[1]:
        return inner[1]
    if inner[:1] == ("annotations",):
        raise ValueError(
            f"reads {path.written}; annotations are words for people, so put it into a label"
        )
    raise ValueError(f"reads {path.written}, which is no label")
