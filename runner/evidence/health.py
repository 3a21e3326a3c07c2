"""Which hosts are healthy, as far as Prometheus knows: for the capacity rule (invariant 11)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from runner.errors import RemoteError
from runner.evidence.samples import Sample
from runner.incident import Labels


class InstantQuery(Protocol):
    """Whoever answers an instant query."""

    def query(self, promql: str) -> Sequence[Sample]: ...


def health(
    prometheus: InstantQuery | None,
    hosts: Iterable[str],
    locate: Callable[[Labels], tuple[str, ...]],
) -> Mapping[str, bool | None] | None:
    """Host → whether every one of its targets is up; None for a host that no target names.

    None altogether without a Prometheus; with one that does not answer, every host is None,
    because missing data is unknown, not good (invariant 10). `locate` gives a target's host.
    """
    if prometheus is None:
        return None
    healthy: dict[str, bool | None] = dict.fromkeys(hosts)
    try:
        samples = prometheus.query("up")
    except RemoteError:
        return healthy
    for sample in samples:
        if sample.known:
            for host in locate(sample.labels):
                healthy[host] = sample.value == 1 and healthy[host] is not False
    return healthy
