"""What a chooser, a person or a model, lacks to tell the entries of a catalog apart: hints only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runner.catalog import Catalog
from runner.catalog.dry_run import really_done
from runner.catalog.entry import Entry
from runner.catalog.scan import Scan

#: Share of their words that two descriptions have in common from which they read alike.
ALIKE = 0.8
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class Hint:
    """`text` is a predicate of the entry's entry.yml."""

    entry: Entry
    text: str


def alike(catalog: Catalog) -> Iterator[Hint]:
    """Two entries that read alike: whoever chooses has nothing to choose by."""
    chosen = [entry for entry in catalog.by_kind("remediation") if entry.match or entry.consider]
    words = {entry.id: _words(entry) for entry in chosen}
    for number, entry in enumerate(chosen):
        for other in chosen[:number]:
            one, two = words[entry.id], words[other.id]
            if len(one & two) >= ALIKE * len(one | two):
                yield Hint(entry, f"reads like {other.id}: say in description what is different")


def of_considered(entry: Entry, seen: Scan) -> Iterator[Hint]:
    """What is missing where an entry may be proposed for alerts that it was not made for."""
    if not entry.consider:
        return
    if not entry.not_for:
        yield Hint(entry, "has consider and no not_for: say when it must not be chosen")
    if any(all(m.matches({}) for m in matchers) for matchers in entry.consider):
        yield Hint(entry, "consider: has a list that matches every alert; name a label it needs")
    if found := really_done(entry, seen):
        yield Hint(
            entry,
            f"is only considered after a person proposed it, because its dry run may do something: "
            f"{found[0]}{f' and {len(found) - 1} more' if len(found) > 1 else ''}; "
            "list tasks that only read in dry_run.reads",
        )


def _words(entry: Entry) -> frozenset[str]:
    text = f"{entry.title} {entry.description} {' '.join(entry.not_for)}"
    return frozenset(_WORD.findall(text.lower()))
