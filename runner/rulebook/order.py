"""Which alerts earlier rules of a ruleset take: only the first rule that holds fires there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.rulebook.condition import parse
from runner.rulebook.file import Rule
from runner.rulebook.matching import Meaning, Reading, without
from runner.text.matcher import Alternatives, Matchers

MOST_TAKEN = 300  #: alternatives of earlier rules


@dataclass
class Before:
    """The rules of a ruleset that were seen so far, whether they became entries or not."""

    reading: Reading
    variables: Mapping[str, Any]
    taken: list[Matchers] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)  #: rules that may take more alerts than known

    def add(self, rule: Rule) -> None:
        """Later rules no longer see what this one takes."""
        if not rule.enabled:
            return
        meaning, found = Meaning(self.reading), self.taken.copy()
        try:
            for text in rule.conditions():
                found += meaning.holds(parse(text, self.variables))
        except ValueError:
            self.unread.append(rule.name)
            return
        self.taken = found
        if meaning.narrower:
            self.unread.append(rule.name)

    def rest(self, alternatives: Alternatives) -> Alternatives:
        """What is left of them for a rule at this place; nothing where it never fires.

        Raises ValueError with a predicate.
        """
        if len(self.taken) > MOST_TAKEN:
            raise ValueError(f"comes after more than {MOST_TAKEN} others; split the ruleset")
        return without(alternatives, tuple(self.taken))
