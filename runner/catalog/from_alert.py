"""Values of parameters that an alert gives: by a label, or by the unit that it means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from runner.catalog.entry import Entry, Parameter
from runner.errors import Refused
from runner.incident.part import SUFFIXES

#: Exporters of systemd say the unit in `name`. Beside it `service` may be derived from that, or be
#: what Prometheus scraped, as in kube-prometheus.
UNIT, SERVICE = "name", "service"
#: A unit that can be started again.
_STARTED = re.compile(r"[A-Za-z0-9][A-Za-z0-9@:._\\-]{0,255}\.(service|socket|timer|path)")


class MeantUnit(Protocol):
    """The unit that an alert means on its hosts, or None and why not."""

    @property
    def unit(self) -> str | None: ...

    @property
    def why(self) -> str: ...


def unresolved(parameter: Parameter, meant: MeantUnit | None) -> str:
    """Why a parameter `from: services` has no value; empty when it has one, or is none of these."""
    if parameter.kind != "services" or (meant is not None and meant.unit is not None):
        return ""
    why = meant.why if meant is not None else "nothing says which unit is meant"
    return f"which unit is meant is not known: {why}"


def cannot_be_chosen(entry: Entry, meant: MeantUnit | None) -> str:
    """Why no plan of this entry can be made for an alert; mostly empty."""
    each = (unresolved(parameter, meant) for parameter in entry.parameters.values())
    return next(filter(None, each), "")


def from_label(
    entry: Entry,
    parameter: Parameter,
    labels: Mapping[str, str],
    check: Callable[[str], Any],
) -> tuple[str, str]:
    """(label, its value): of several labels the first whose value the variable may have.

    `check` raises ValueError with a predicate. Raises Refused with why it is not the first one.
    """
    there = [label for label in parameter.labels if labels.get(label)]
    if not there:
        raise Refused(f"{entry.id}: the alert has no label {' or '.join(parameter.labels)}")
    why = ""
    for label in there:
        try:
            value = _of_label(entry, label, labels, alone=len(parameter.labels) == 1)
            if len(parameter.labels) > 1:
                check(value)
            return label, value
        except Refused as error:
            why = why or str(error)
        except ValueError as error:
            why = why or f"{entry.id}: label {label} {error}"
    raise Refused(why)


def _of_label(entry: Entry, label: str, labels: Mapping[str, str], *, alone: bool) -> str:
    """Its value, if it is not of another kind than it looks. Raises Refused."""
    value, unit = labels[label], labels.get(UNIT, "")
    stem, _, suffix = unit.rpartition(".")
    of_systemd = bool(stem) and suffix in SUFFIXES
    # `name` is also what a container, a scope or a thing of anybody's is called.
    if label == UNIT and not alone and not _STARTED.fullmatch(value):
        raise Refused(f"{entry.id}: label {UNIT} names no unit of systemd: {value[:60]!r}")
    # A `service` that is not derived from the unit is what was scraped.
    if label == SERVICE and of_systemd and value not in (unit, stem):
        raise Refused(
            f"{entry.id}: the alert is about the unit {unit} (label {UNIT}), and {value} "
            f"(label {SERVICE}) is what was scraped"
        )
    return value
