"""What Alertmanager has and we do not, and the reverse: a pure comparison.

Alertmanager does not tell everything: an alert that resolves and fires again
within one group interval, that fired and resolved while we were down, or that
was silenced after its first message, is never mentioned again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from runner.incident import Alert


@dataclass(frozen=True, kw_only=True)
class Known:
    """The newest activation of one fingerprint that we have a record of."""

    starts_at: datetime
    firing: bool  #: no message said that it resolved
    doubted: bool = False  #: it was taken for resolved, and no message said so


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What to do after a comparison."""

    missing: tuple[Alert, ...]  #: to be delivered as if by webhook
    gone: tuple[str, ...]  #: fingerprints we think firing; a hint to look, never a proof of a fix


def missing(active: Sequence[Alert], known: Mapping[str, Known]) -> Difference:
    """Compare what is `active` at Alertmanager with what came from there (`known` by fingerprint).

    An activation that began before or with the known one is the known one. Give
    only alerts of the same receiver and filters, and none from watches.
    """
    here = {alert.fingerprint for alert in active}
    return Difference(
        missing=tuple(alert for alert in active if _is_new(alert, known.get(alert.fingerprint))),
        gone=tuple(sorted(f for f, one in known.items() if one.firing and f not in here)),
    )


def _is_new(alert: Alert, known: Known | None) -> bool:
    return known is None or known.doubted or alert.starts_at > known.starts_at
