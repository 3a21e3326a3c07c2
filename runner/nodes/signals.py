"""The signals that are looked at: those of runner.yml, or these for etcd with node_exporter.

Another storage system takes other queries in `nodes.signals`, and nothing here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from runner.config import Nodes, Signal
from runner.errors import UsageError
from runner.nodes.collect import Grid, HostOf, QueryRange, by_host
from runner.nodes.trend import Values

#: name, PromQL, warning, critical, weight, unit, optional
_ETCD: tuple[tuple[str, str, float, float, float, str, bool], ...] = (
    (
        "fsync_p99",
        "histogram_quantile(0.99, sum by (instance, le) "
        "(rate(etcd_disk_wal_fsync_duration_seconds_bucket[10m])))",
        0.1, 0.5, 1.0, "s", False,
    ),
    (
        "commit_p99",
        "histogram_quantile(0.99, sum by (instance, le) "
        "(rate(etcd_disk_backend_commit_duration_seconds_bucket[10m])))",
        0.12, 0.25, 0.5, "s", False,
    ),
    (
        "fill",
        'max by (instance) (1 - node_filesystem_avail_bytes{fstype!~"tmpfs|overlay|squashfs|ramfs"}'
        " / node_filesystem_size_bytes)",
        0.8, 0.92, 1.0, "of 1", False,
    ),
    (
        "quota",
        "max by (instance) "
        "(etcd_mvcc_db_total_size_in_bytes / etcd_server_quota_backend_bytes)",
        0.7, 0.9, 1.0, "of 1", False,
    ),
    (
        "disk_errors",
        "sum by (instance) (smartctl_device_attribute{attribute_value_type=\"raw\","
        'attribute_name=~"Reallocated_Sector_Ct|Current_Pending_Sector|Offline_Uncorrectable"})',
        10, 100, 1.0, "sectors", True,
    ),
    (
        "failed_proposals",
        "sum by (instance) (rate(etcd_server_proposals_failed_total[15m])) * 60",
        1, 10, 0.5, "per minute", False,
    ),
    (
        "leader_changes",
        "max by (instance) (increase(etcd_server_leader_changes_seen_total[1h]))",
        3, 8, 0.5, "per hour", False,
    ),
    (
        "memory",
        "max by (instance) (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)",
        0.88, 0.96, 1.0, "of 1", False,
    ),
    (
        "clock_offset",
        "max by (instance) (abs(node_timex_offset_seconds))",
        0.05, 0.5, 1.0, "s", False,
    ),
    (
        "restarts",
        'max by (instance) (changes(process_start_time_seconds{job="etcd"}[6h]))',
        4, 8, 1.0, "in 6 h", False,
    ),
    (
        "network_errors",
        "sum by (instance) (rate(node_network_receive_errs_total[15m]) "
        "+ rate(node_network_transmit_errs_total[15m]))",
        1, 20, 0.5, "per second", False,
    ),
)  # fmt: skip


def in_force(nodes: Nodes) -> tuple[Signal, ...]:
    """The signals of the configuration; those of etcd when it names none."""
    return nodes.signals or etcd()


@cache
def etcd() -> tuple[Signal, ...]:
    """The signals for etcd that are built in."""
    names = ("name", "promql", "warning", "critical", "weight", "unit", "optional")
    return tuple(Signal.model_validate(dict(zip(names, row, strict=True))) for row in _ETCD)


PIECE = 2_000  #: points of one query; Prometheus gives at most 11,000
MAX_POINTS = 200_000


@dataclass(frozen=True)
class Span:
    """Series of every node on one grid from `start` on."""

    start: datetime
    values: Mapping[str, Mapping[str, Values]]


def read(
    query_range: QueryRange,
    signals: Iterable[Signal],
    nodes: Nodes,
    hosts: Collection[str],
    host_of: HostOf,
    start: datetime,
    end: datetime,
) -> Span:
    """Everything between two times. Raises UsageError and RemoteError.

    A signal that no node has is left out, as it is when nodes are looked at now.
    """
    points = round((end - start) / nodes.step)
    if not 2 <= points <= MAX_POINTS:
        raise UsageError(f"between --from and --to lie {points} steps; 2 to {MAX_POINTS} can be")
    grid = Grid.ending(end, points * nodes.step, nodes.step)
    length = grid.step * (PIECE - 1)
    firsts, first = [], grid.start
    while first <= grid.end:
        firsts.append(first)
        first += length + grid.step
    found: dict[str, dict[str, Values]] = {host: {} for host in hosts}
    for signal in signals:
        answers = (
            series
            for first in firsts
            for series in query_range(
                signal.promql, first, min(first + length, grid.end), grid.step
            )
        )
        of_hosts = by_host(answers, signal, grid, hosts, host_of)
        if any((values == values).any() for values in of_hosts.values()):
            for host, values in of_hosts.items():
                found[host][signal.name] = values
    if not any(found.values()):
        raise UsageError("Prometheus has nothing of any node between --from and --to")
    return Span(grid.start, found)
