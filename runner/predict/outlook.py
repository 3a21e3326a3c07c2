"""Ask Prometheus and judge every node; changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from runner.errors import ConfigError, NotFound, RemoteError
from runner.incident import Labels
from runner.inventory import Inventory
from runner.inventory.location import locate
from runner.nodes.tier import Tier
from runner.project import Project
from runner.store import nodes

if TYPE_CHECKING:
    from runner.config import Nodes, Signal
    from runner.evidence.prometheus import PrometheusClient
    from runner.nodes.backtest import History
    from runner.nodes.classify import Prediction
    from runner.nodes.collect import Readings

_EXTRA = "nodes need numpy; install remediation-runner[nodes]"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What one look at the nodes found."""

    at: datetime
    predictions: tuple[Prediction, ...]
    signals: tuple[Signal, ...]
    readings: Readings
    serving: frozenset[str] | None  #: hosts that are members now; None when that is not known


def look(project: Project, now: datetime) -> Outlook:
    """Ask Prometheus and judge every node; changes nothing.

    Raises ConfigError when no node is configured, and when a library is missing.
    """
    look_for_extra()
    from runner.nodes import classify, collect, signals

    prometheus = _prometheus(project)
    settings, inventory = project.config.nodes, project.inventory()
    with project.database.read() as tx:
        known = nodes.standings(tx)
    serving = _serving(project, inventory)
    in_force = signals.in_force(settings)
    readings = collect.collect(
        prometheus.query_range,
        in_force,
        settings,
        watched(project, inventory, serving, known),
        lambda labels: _host(labels, project, inventory),
        now,
    )
    held = {name: Tier(member.tier) for name, member in known.items()}
    found = classify.classify_all(
        readings.series,
        in_force,
        classify.Scale.of(settings),
        lambda node: held.get(node, Tier.NONE),
    )
    return Outlook(at=now, predictions=found, signals=in_force, readings=readings, serving=serving)


def look_for_extra() -> None:
    """Raise ConfigError unless what nodes need is installed."""
    try:
        import numpy  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(f"{_EXTRA} ({error.name} is missing)") from None


def _prometheus(project: Project) -> PrometheusClient:
    if project.prometheus is None:
        raise ConfigError("nodes are measured by Prometheus; set prometheus.url in runner.yml")
    return project.prometheus


def signal_names(settings: Nodes) -> frozenset[str]:
    """The names of the signals in force."""
    from runner.nodes import signals

    return frozenset(signal.name for signal in signals.in_force(settings))


def history(
    project: Project, start: datetime, end: datetime, failures: Mapping[str, datetime]
) -> History:
    """What Prometheus has of every node between two times, for a backtest.

    Raises NotFound for a failure of a host that is none of the nodes, UsageError for a span of
    time that holds nothing, RemoteError.
    """
    from runner.nodes import signals
    from runner.nodes.backtest import History
    from runner.nodes.signals import read

    settings, inventory = project.config.nodes, project.inventory()
    hosts = watched(project, inventory, _serving(project, inventory), failures)
    if strangers := sorted(set(failures) - set(hosts)):
        raise NotFound(f"{strangers[0]} is no node; see `runner node list`")
    series = read(
        _prometheus(project).query_range,
        signals.in_force(settings),
        settings,
        hosts,
        lambda labels: _host(labels, project, inventory),
        start,
        end,
    )
    return History(start=series.start, step=settings.step, series=series.values, failures=failures)


def watched(
    project: Project,
    inventory: Inventory,
    serving: Collection[str] | None,
    known: Collection[str] = (),
) -> tuple[str, ...]:
    """The hosts to look at: those of the group, without spares that do not serve."""
    settings = project.config.nodes
    group = group_of(inventory, settings.group)
    spares = set(group_of(inventory, settings.spares) if settings.spares else ())
    idle = spares - set(serving or ()) - set(known)
    return tuple(host for host in sorted({*group, *spares}) if host not in idle)


def group_of(inventory: Inventory, name: str | None) -> tuple[str, ...]:
    """The hosts of a group that `nodes` names. Raises ConfigError where there is none."""
    if name is None:
        raise ConfigError("no nodes are named; set nodes.group in runner.yml")
    if name not in inventory.groups:
        raise ConfigError(f"the inventory has no group {name}; see nodes in runner.yml")
    return inventory.groups[name]


def _serving(project: Project, inventory: Inventory) -> frozenset[str] | None:
    """Who serves now, by `nodes.members`; None when nobody says."""
    promql = project.config.nodes.members
    if promql is None or project.prometheus is None:
        return None
    try:
        samples = project.prometheus.query(promql)
    except RemoteError as error:
        logger.warning("who serves is not known: %s", error)
        return None
    found = (_host(one.labels, project, inventory) for one in samples if one.value > 0)
    return frozenset(host for host in found if host is not None)


def _host(labels: Labels, project: Project, inventory: Inventory) -> str | None:
    found = locate(labels, project.config.nodes.label, inventory).hosts
    return found[0] if len(found) == 1 else None


def one_of(found: Sequence[Prediction], node: str) -> Prediction:
    """The prediction for `node`. Raises NotFound."""
    for prediction in found:
        if prediction.node == node:
            return prediction
    raise NotFound(f"there is no node {node}; see `runner node list`")
