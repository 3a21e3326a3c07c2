"""The signals that are looked at: those of runner.yml, or these for etcd with node_exporter.

Another storage system takes other queries in `nodes.signals`, and nothing here.
"""

from __future__ import annotations

from functools import cache

from runner.config import Nodes, Signal

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
