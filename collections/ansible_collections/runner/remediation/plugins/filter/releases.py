"""The order of releases, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_NUMBER = re.compile(r"(\d+)")


def natural(name: str) -> list[tuple[int, str]]:
    """Sort key that counts numbers as numbers: v1.9 comes before v1.10, and dates stay in order."""
    parts = _NUMBER.split(name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts if part]


def releases_before(names: Iterable[str], current: str) -> list[str]:
    """Those of `names` that are older than `current`, oldest first; empty when there are none."""
    return sorted((n for n in names if natural(n) < natural(current)), key=natural)


def releases_after(names: Iterable[str], current: str) -> list[str]:
    """Those of `names` that are newer than `current`, oldest first; empty when there are none."""
    return sorted((n for n in names if natural(n) > natural(current)), key=natural)


class FilterModule:
    """Found by Ansible through this name."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"releases_before": releases_before, "releases_after": releases_after}
