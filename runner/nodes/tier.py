"""How a node stands. Apart from how that is found out, which needs numpy."""

from __future__ import annotations

from enum import StrEnum


class Tier(StrEnum):
    """How a node stands."""

    UNKNOWN = "unknown"  #: a signal that should be there is missing
    NONE = "none"  #: nothing points to a failure
    WARNING = "warning"  #: early signs: it stays in service, and capacity is added
    CRITICAL = "critical"  #: it is about to fail: it is replaced

    @property
    def rank(self) -> int:
        """Higher is worse; unknown lies above none."""
        return ("none", "unknown", "warning", "critical").index(self)
