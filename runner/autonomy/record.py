"""What is remembered of how an entry did: trials, people's words, and what clears by itself.

Frozen data, read from the store and judged by `runner.autonomy`. A record belongs to a
`Key`: what an entry did for one alert name in one environment says nothing of another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from runner.incident import Labels, Level, Outcome, Purpose, Result, State


@dataclass(frozen=True, order=True)
class Key:
    """Whose record it is."""

    entry: str
    alertname: str
    environment: str

    def __str__(self) -> str:
        return f"{self.entry} for {self.alertname} in {self.environment}"


@dataclass(frozen=True, kw_only=True)
class Feedback:
    """A person's word on what the runner decided or did in one incident."""

    incident: int
    right: bool
    by: str  #: `user:NAME`
    reason: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Deed:
    """One run of an incident, as far as its effect counts."""

    purpose: Purpose
    outcome: Outcome | None
    result: Result | None  #: of its verification
    started: bool  #: False for one that was cancelled before Ansible began
    at: datetime  #: when the last thing about it became known


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is stored of one incident that can say something about its entry."""

    incident: int
    state: State
    deeds: tuple[Deed, ...] = ()
    answer: str | None = None  #: of the newest approval: approved, denied or expired
    answered_at: datetime | None = None
    feedback: Feedback | None = None  #: the newest
    content: str | None = None  #: hash of the files that ran, as in the plan
    hosts: tuple[str, ...] = ()
    part: str | None = None  #: of these hosts; None: the whole

    def about(self, host: str, part: str | None) -> bool:
        """Whether it says something of this part of the host; of what names none, any part does."""
        same = part is None or self.part is None or part == self.part
        return host in self.hosts and same


class Mark(StrEnum):
    """What one incident says of its entry."""

    FIXED = "fixed"  #: it ran, and the effect was verified
    AGREED = "agreed"  #: nothing ran, and a person said that the decision was right
    DISAGREED = "disagreed"  #: a person denied it
    BAD = "bad"  #: it ran without a proven effect, or a person said that it was wrong


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One incident's word on its entry."""

    incident: int
    at: datetime
    mark: Mark
    why: str


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A level that a person gave, from which the record goes on."""

    level: Level
    hold: bool  #: nothing is promoted above it until another one is given
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Change:
    """One promotion or demotion, as the record tells it."""

    at: datetime
    previous: Level
    level: Level
    why: str
    incident: int | None = None


@dataclass(frozen=True, kw_only=True)
class Earned:
    """What a record has earned now, and what it rests on."""

    key: Key
    level: Level
    text: str  #: a sentence, the reason that policy shows
    fixed: int = 0
    agreed: int = 0
    disagreed: int = 0
    bad: int = 0
    held: bool = False
    #: below where it would start, and no person put it there
    demoted: bool = False
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Spell:
    """One continuous firing of an alert. `lasted` is a lower bound while `open`."""

    labels: Labels
    began: datetime
    lasted: timedelta
    open: bool = False  #: it still fires, or nobody saw its end


@dataclass(frozen=True, kw_only=True)
class Clearing:
    """How many firings that nobody touched ended by themselves in the time a run has."""

    cleared: int
    stayed: int
    delay: timedelta  #: how old they had to be, as old as the alerts that runs began on
    within: timedelta  #: how long they were then given, as long as a run
    source: str
    at: datetime


class Helps(StrEnum):
    """Whether acting is better than waiting."""

    YES = "yes"
    NO = "no"  #: enough is known, and no difference was seen
    UNKNOWN = "unknown"  #: too little is known


@dataclass(frozen=True, kw_only=True)
class Uplift:
    """How much better an entry's runs end than alerts that are left alone."""

    helps: Helps
    text: str
    fixed: int
    runs: int
    clearing: Clearing | None = None


@dataclass(frozen=True, kw_only=True)
class Touch:
    """When the runner began to act on an alert: such a firing did not end by itself."""

    labels: Mapping[str, str]
    began: datetime  #: the activation
    at: datetime  #: the start of the run
