"""What policy judges: everything that it may look at, as data.

Nothing in here is read from a clock, a file or the network; who builds it
does that. What is not known is said to be not known (`None`), never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runner.catalog.entry import Entry
from runner.config import Config
from runner.incident import Alert, Decision, Labels, Level, Outcome, Purpose, Reason, Result


@dataclass(frozen=True, kw_only=True)
class PastRun:
    """One earlier run, of any incident, as far as policy cares."""

    entry: str
    hosts: tuple[str, ...]  #: every host it touched
    part: str | None = None  #: the only part of them that it acted on; None: the whole
    incident: int
    purpose: Purpose
    started_at: datetime
    outcome: Outcome | None = None  #: None while it may still be running
    verification: Result | None = None  #: None while it is not verified
    labels: Labels = field(default_factory=dict)  #: of its alert, where a budget needs them

    @property
    def acted(self) -> bool:
        """Whether it was started to change something."""
        return self.purpose.acts

    @property
    def failed(self) -> bool:
        """Whether it ended without a proven effect; not known yet is not a failure."""
        if self.outcome is not None and not self.outcome.completed:
            return True
        return self.verification in (Result.NOT_FIXED, Result.UNKNOWN)

    def acted_on(self, host: str, part: str | None = None) -> bool:
        """Whether it was to change this part of the host; of what names none, any part counts."""
        same = part is None or self.part is None or part == self.part
        return self.acted and host in self.hosts and same


@dataclass(frozen=True, kw_only=True)
class Situation:
    """One decision about exact hosts, and what policy must know to judge it."""

    entry: Entry
    hosts: tuple[str, ...]  #: exact inventory names of the plan
    touched: tuple[str, ...]  #: those and the hosts the play delegates to
    #: the only part of the hosts that it acts on, if they are known to have it; None: the whole
    part: str | None = None
    alert: Alert
    #: every decider's answer; an abstention that should not count is left out
    decisions: tuple[Decision, ...]
    evidence: frozenset[int] = frozenset()  #: numbers that exist, to check what was cited
    config: Config
    ceiling: Level  #: of the command line or the source
    paused: str | None = None  #: who paused the runner and why; None when it is not
    variables: Mapping[str, Mapping[str, Any]]  #: of every host of the inventory
    groups: Mapping[str, tuple[str, ...]]  #: every group with all its hosts
    #: host → why not all that the inventory says of it is known, a sentence
    doubts: Mapping[str, str] = field(default_factory=dict)
    #: host → healthy, None where the source does not know; None without any source
    healthy: Mapping[str, bool | None] | None = None
    busy: frozenset[str] = frozenset()  #: hosts that other runs in flight may be changing
    history: tuple[PastRun, ...] = ()
    serving: frozenset[str] = frozenset()  #: within reach, but in service all the time
    #: incident → hosts of the other plans with places that are being carried out now
    acting: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    incident: int | None = None  #: its own earlier attempts are no reason to cool down
    earned: Reason | None = None  #: what (entry, alert, environment) has earned
    suspicions: tuple[str, ...] = ()  #: text that looks as if it were meant to steer a model
    other_hosts: tuple[str, ...] = ()  #: labels that name other hosts, a sentence each
    unknown_radius: tuple[str, ...] = ()  #: sentences of the static scan
    #: why `match` does not name the alert, where the entry was chosen by `consider`; else None
    considered: str | None = None
    proposed: bool = False  #: a person asked for this entry
    really_done: tuple[str, ...] = ()  #: what its dry run may really do, a sentence each
    #: host → when dry runs of considered entries began that nobody had asked for
    looks: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    now: datetime

    @property
    def reach(self) -> tuple[str, ...]:
        """Every host that the run can touch, sorted, each once."""
        return tuple(sorted({*self.hosts, *self.touched}))

    @property
    def affected(self) -> tuple[str, ...]:
        """The hosts within reach whose service the run may take away, sorted."""
        return tuple(host for host in self.reach if host not in self.serving)


#: A rule gives reasons; none means that it grants `auto` and has nothing to say.
Rule = Callable[[Situation], Iterable[Reason]]
