"""The table of services in the inventory, and which unit of a host an alert means.

Nothing is guessed: a unit is the one that a label names, or the one service of this host that the
alert means by the table. Otherwise it is not known, with the reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationError

from runner.config import Section, Text, explain
from runner.inventory.names import is_loopback, port_of
from runner.text import brief

VARIABLE = "runner_services"
MOST = 1000  #: services of one host's table
#: What systemd starts again; a scope, a slice, a mount or a target is not.
STARTED = frozenset({"service", "socket", "timer", "path"})
SUFFIXES = STARTED | {"mount", "automount", "target", "slice", "scope", "swap", "device"}
#: Who starts a unit such that we may start it again; anybody else would undo it, or be harmed.
OURS = frozenset({"systemd", "supervisord"})
_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9@:._\\-]{0,255}")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}")
_PATH = re.compile(r"/[A-Za-z0-9._+@:=,~/-]{0,255}")
_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\\]+)")
#: Labels by which Kubernetes says what was scraped; `service` is one of these beside them.
_SCRAPED = ("pod", "namespace", "endpoint", "container")
#: Labels that hold what is asked or probed.
_ASKED = ("instance", "target", "server")
#: Alerts that say no more than that the target of a job is down.
_TARGET_DOWN = frozenset(
    {"TargetDown", "TargetMissing", "PrometheusTargetDown", "PrometheusTargetMissing",
     "ScrapeTargetDown", "InstanceDown", "EndpointDown", "JobDown"}
)  # fmt: skip

Names = tuple[Text, ...]


class Form(Section):
    """One service, as the inventory writes it."""

    unit: Annotated[Text, Field(min_length=1, max_length=256)]
    started_by: Text = "systemd"
    hosts: Names = ()
    group: Text | None = None
    ask: Text = ""
    alerts: Names = ()
    jobs: Names = ()
    processes: Names = ()
    queues: Names = ()
    checks: Names = ()


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service, the hosts that run it, and what means it."""

    name: str
    unit: str  #: `{id}` in it stands for the label `id`
    hosts: frozenset[str]
    started_by: str = "systemd"
    ask: str = ""  #: the address at which it is asked, seen from its host or by its name
    alerts: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()  #: URLs


@dataclass(frozen=True)
class Meant:
    """The unit that an alert means on one host, or None and why not."""

    unit: str | None
    why: str  #: a clause


@dataclass(frozen=True)
class Services:
    """Every service of the inventory."""

    all: tuple[Service, ...] = ()
    problems: tuple[str, ...] = ()  #: a sentence each

    @classmethod
    def of(
        cls, hosts: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Iterable[str]]
    ) -> Services:
        """The services in the tables of these hosts. One that names neither hosts nor a group runs
        on each host whose table has it. What cannot be understood is left out, as a problem."""
        carriers: dict[tuple[str, str], set[str]] = {}
        written: dict[tuple[str, str], Any] = {}
        problems: dict[str, None] = {}
        before: tuple[Any, list[tuple[str, str]]] = (None, [])
        for host, variables in hosts.items():
            table = variables.get(VARIABLE)
            if table is None:
                continue
            if not isinstance(table, Mapping) or len(table) > MOST:
                problems[f"{VARIABLE} of {host} is not a mapping of at most {MOST} services"] = None
                continue
            if table != before[0]:
                before = table, [(str(name), repr(form)) for name, form in table.items()]
            for key, form in zip(before[1], table.values(), strict=True):
                written.setdefault(key, form)
                carriers.setdefault(key, set()).add(host)
        found = []
        for (name, text), form in written.items():
            try:
                found.append(_service(name, form, carriers[name, text], hosts, groups))
            except ValueError as error:
                problems[f"{VARIABLE}.{brief(name, 60)}: {error}"] = None
        return cls(tuple(found), tuple(problems))

    def checked_at(self, text: str) -> frozenset[str]:
        """The hosts of the services whose check is this URL."""
        return _hosts(one for one in self.all if text and _has_check(one, text))

    def hosts_of(self, labels: Mapping[str, str]) -> tuple[frozenset[str], str]:
        """(hosts of the services that an alert without a host means, by what); often none."""
        for what, means in _signals(labels):
            if what != "job" and (meant := [one for one in self.all if means(one)]):
                names = " and ".join(sorted({one.name for one in meant})[:3])
                return _hosts(meant), f"service {names} (by its {what})"
        return frozenset(), ""

    def own_target(self, labels: Mapping[str, str], host: str) -> bool:
        """Whether the alert says that the job's own target is down, and the table has it there."""
        down = _target_down(labels)
        return down and any(host in one.hosts and labels["job"] in one.jobs for one in self.all)

    def meant(self, labels: Mapping[str, str], host: str) -> Meant:
        """The unit of `host` that the alert means."""
        here = [one for one in self.all if host in one.hosts]
        if named := unit_label(labels):
            return _named(named, labels[named], here)
        for what, means in _signals(labels):
            meant = [one for one in here if means(one)]
            if not meant and what not in ("alert name", "job") and any(map(means, self.all)):
                return Meant(None, f"by its {what} it is a service that {host} does not run")
            if not meant and what == "label service" and here:
                return Meant(None, f"the table of {host} has no service that the label names")
            if len({one.unit for one in meant}) > 1:
                meant = [one for one in meant if _asked(one, labels)]
                if len({one.unit for one in meant}) != 1:
                    return Meant(None, f"by its {what} several services of {host} are meant")
            if meant:
                return _of_service(meant[0], labels)
        service = labels.get("service", "")
        if not self.all and service and not scraped(labels) and _UNIT.fullmatch(service):
            return Meant(service, "the label service names it")
        return Meant(None, f"no label names a unit, and no service of {host} is meant by the alert")

    def meant_on(self, labels: Mapping[str, str], hosts: Iterable[str]) -> Meant:
        """The unit that the alert means on all of these hosts."""
        found = {host: self.meant(labels, host) for host in hosts}
        if len({each.unit for each in found.values()}) > 1:
            return Meant(None, "it differs between the hosts")
        return next(iter(found.values()), Meant(None, "no host is known"))


def unit_label(labels: Mapping[str, str]) -> str:
    """The label that names a unit of systemd, startable or not; empty where there is none."""
    for label in ("name", "unit"):
        stem, _, suffix = labels.get(label, "").rpartition(".")
        if stem and suffix in SUFFIXES:
            return label
    return ""


def startable(unit: str) -> bool:
    """Whether the text is the whole name of a unit that systemd can start again."""
    return bool(_UNIT.fullmatch(unit)) and unit.rpartition(".")[2] in STARTED


def mount_point(labels: Mapping[str, str]) -> str | None:
    """The file system that the label `mountpoint` names, without a slash at its end; None where it
    is no plain absolute path."""
    text = labels.get("mountpoint", "")
    parts = text.split("/")[1:]
    if not _PATH.fullmatch(text) or {".", ".."} & set(parts) or "" in parts[:-1]:
        return None
    return text.rstrip("/") or "/"


def scraped(labels: Mapping[str, str]) -> bool:
    """Whether the label `service` is what Prometheus scraped, and no unit of the host."""
    return bool(unit_label(labels)) or any(labels.get(label) for label in _SCRAPED)


def _named(label: str, unit: str, here: list[Service]) -> Meant:
    if not startable(unit):
        return Meant(None, f"the label {label} names no unit that can be started again")
    for one in here:
        # Its instances, its socket and the unit that starts all of them are its own, too.
        if one.started_by not in OURS and _family(one.unit) == _family(unit):
            return Meant(None, f"{unit} is started by {one.started_by}")
    return Meant(unit, f"the label {label} names it")


def _of_service(one: Service, labels: Mapping[str, str]) -> Meant:
    if one.started_by not in OURS:
        return Meant(None, f"the service {one.name} is started by {one.started_by}")
    unit = one.unit
    for hole in _HOLE.findall(one.unit):
        value = labels.get(hole, "")
        if not _PART.fullmatch(value) or ".." in value:
            return Meant(None, f"the unit {one.unit} needs the label {hole}")
        unit = unit.replace(f"{{{hole}}}", value)
    return Meant(unit, f"the alert means the service {one.name}")


def _signals(labels: Mapping[str, str]) -> list[tuple[str, Any]]:
    """(what of the alert, whether it means a service), the most telling first."""
    name, service = labels.get("name", ""), labels.get("service", "")
    alert, job = labels.get("alertname", ""), labels.get("job", "")
    process, queue = labels.get("groupname", ""), labels.get("queue", "")
    found: list[tuple[str, Any]] = []
    if service and not scraped(labels):
        found.append(
            ("label service", lambda one: service in (one.name, one.unit, _stem(one.unit)))
        )
    if name and not labels.get("image") and not unit_label(labels):
        found.append(
            (
                "label name",
                lambda one: one.started_by == "supervisord" and name in (one.name, one.unit),
            )
        )
    if process:
        found.append(("process", lambda one: process in one.processes))
    found.append(
        ("check", lambda one: any(_has_check(one, labels.get(label, "")) for label in _ASKED))
    )
    if queue:
        found.append(("queue", lambda one: queue in one.queues))
    if alert:
        found.append(("alert name", lambda one: alert in one.alerts))
    found.append(("address", lambda one: _asked(one, labels)))
    if job and _target_down(labels):
        found.append(("job", lambda one: job in one.jobs))
    return found


def _target_down(labels: Mapping[str, str]) -> bool:
    alert = labels.get("alertname", "")
    return bool(labels.get("job")) and (alert in _TARGET_DOWN or alert.endswith("ExporterDown"))


def _has_check(one: Service, text: str) -> bool:
    return bool(text) and text.rstrip("/") in [check.rstrip("/") for check in one.checks]


def _asked(one: Service, labels: Mapping[str, str]) -> bool:
    """Whether a label has the very address at which the service is asked, on its host."""
    scheme, host, port = _endpoint(one.ask)
    for label in _ASKED:
        other, at, number = _endpoint(labels.get(label, "")[:512])
        same = port is not None and port == number and (not other or other == scheme)
        if same and (is_loopback(host) or host == at):
            return True
    return False


def _endpoint(text: str) -> tuple[str, str, int | None]:
    """(scheme, host, port) of `redis://cache1:6379` or `cache1:6379`, as far as it has them."""
    url = _URL.match(text.lower())
    rest = url[2] if url else text.lower()
    return (url[1] if url else ""), rest.rpartition(":")[0].strip("[]"), port_of(rest)


def _hosts(some: Iterable[Service]) -> frozenset[str]:
    return frozenset(host for one in some for host in one.hosts)


def _stem(unit: str) -> str:
    return unit.removesuffix(".service")


def _family(unit: str) -> str:
    """Of an instance, a socket or a timer what it belongs to: `queue` of `queue@3.socket`."""
    stem, _, suffix = unit.rpartition(".")
    return (stem if suffix in SUFFIXES else unit).partition("@")[0]


def _service(
    name: str,
    form: Any,
    carriers: set[str],
    hosts: Mapping[str, Any],
    groups: Mapping[str, Iterable[str]],
) -> Service:
    """Raises ValueError with a predicate."""
    if not isinstance(form, Mapping):
        raise ValueError("must be a mapping with unit")
    try:
        given = Form.model_validate(form)
    except ValidationError as error:
        raise ValueError(explain(error.errors()[0], Form)) from None
    if "{{" in given.unit or "{%" in given.unit:
        raise ValueError("unit is a template, which is not evaluated here; write the unit itself")
    if not _UNIT.fullmatch(_HOLE.sub("x", given.unit)):
        raise ValueError(f"{brief(given.unit, 60)!r} is no name of a unit")
    if given.group is not None and given.hosts:
        raise ValueError("give either hosts or group")
    if given.group is not None and given.group not in groups:
        raise ValueError(f"the inventory has no group {brief(given.group, 60)!r}")
    if unknown := [host for host in given.hosts if host not in hosts]:
        raise ValueError(f"the inventory has no host {brief(unknown[0], 60)!r}")
    listed = groups[given.group] if given.group is not None else given.hosts or carriers
    rest = given.model_dump(exclude={"hosts", "group"})
    return Service(name=name, hosts=frozenset(listed), **rest)
