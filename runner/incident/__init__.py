"""The nouns: what an incident is made of. Frozen data without behaviour of its own.

Times are timezone-aware UTC. Durations are `timedelta`. Ids are integers given
by the store, except run ids, which are hexadecimal and made before the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

Labels = Mapping[str, str]

#: Words of releases before 0.2 → today's. They are accepted until v0.3 in files, options, the
#: environment and requests. Rows of an older release keep them, and are translated when read.
OLDER_WORDS = {"rehearse": "dry-run", "rehearsal": "dry_run", "rehearsed": "planned"}


def todays_word(word: str) -> str:
    """`word` as this release says it."""
    return OLDER_WORDS.get(word, word)


class Level(StrEnum):
    """How far the runner may go. Compare with `rank`, combine with `lowest`."""

    OBSERVE = "observe"  #: gather, decide, record, notify
    DRY_RUN = "dry-run"  #: and run the playbook in check mode
    APPROVE = "approve"  #: and ask a person
    AUTO = "auto"  #: and run it, verify, undo or escalate

    @classmethod
    def _missing_(cls, value: object) -> Level | None:
        return cls.DRY_RUN if value == "rehearse" else None

    @property
    def rank(self) -> int:
        return list(Level).index(self)

    @classmethod
    def lowest(cls, *levels: Level) -> Level:
        """The least of `levels`; `AUTO` when there is none."""
        return min(levels, key=lambda level: level.rank, default=cls.AUTO)


class State(StrEnum):
    """Where an incident stands. The last ten are ends."""

    ADMITTED = "admitted"  #: ours to handle
    LOCATED = "located"  #: exact inventory hosts are known
    GATHERED = "gathered"  #: evidence is stored
    DECIDED = "decided"  #: an entry was chosen
    HELD = "held"  #: held back for a time; it is judged again when the time is over
    JUDGED = "judged"  #: policy gave a level and its reasons
    PLANNED = "planned"  #: the dry run ended, the plan is hashed
    WAITING = "waiting"  #: a person has been asked
    APPROVED = "approved"  #: a person or the level lets the plan through
    RUNNING = "running"  #: the pre-flight passed, Ansible has been started
    VERIFYING = "verifying"  #: the run has ended, its effect is being checked
    UNDOING = "undoing"  #: the declared undo is running

    SUPPRESSED = "suppressed"  #: not ours to handle, with the reason
    OBSERVED = "observed"  #: the level let us only record the decision
    DRY_RUN = "dry_run"  #: the level let us do a dry run only
    DENIED = "denied"  #: a person said no
    EXPIRED = "expired"  #: nobody answered in time
    CANCELLED = "cancelled"  #: the pre-flight or a person stopped it
    DRILLED = "drilled"  #: a person had a fault injected, which ends by itself
    RESOLVED = "resolved"  #: the alert cleared before anything ran
    FIXED = "fixed"  #: ran, and verified
    ESCALATED = "escalated"  #: handed to a person with the bundle

    @classmethod
    def _missing_(cls, value: object) -> State | None:
        return cls.PLANNED if value == "rehearsed" else None

    @property
    def ended(self) -> bool:
        return self in ENDED


ENDED = frozenset(
    {
        State.SUPPRESSED,
        State.OBSERVED,
        State.DRY_RUN,
        State.DENIED,
        State.EXPIRED,
        State.CANCELLED,
        State.DRILLED,
        State.RESOLVED,
        State.FIXED,
        State.ESCALATED,
    }
)


#: An act in the audit log, beside the states: text may be meant to steer the model.
SUSPECTED = "suspected"
#: An alert that nobody is told of, which ends `suppressed`.
IGNORED = "ignored"
#: It is held back once more: people were told the first time.
HELD_AGAIN = "held_again"
#: What it waited for is over.
GOES_ON = "goes_on"
#: The answer of a question whose incident has ended.
CLOSED = "closed"
#: It waits for hosts of another run, or for room, and says for which.
WAITS = "waits"


class AlertStatus(StrEnum):
    """What Alertmanager says of one alert."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Outcome(StrEnum):
    """What one run came to. ansible-runner's `successful` is none of these."""

    CHANGED = "changed"  #: at least one task changed something, none failed
    NO_CHANGE = "no_change"  #: no task reported a change
    NO_HOSTS = "no_hosts"  #: the play matched no host
    ALL_SKIPPED = "all_skipped"  #: every task was skipped on some host
    TOLERATED_FAILURE = "tolerated_failure"  #: a failure was ignored or rescued
    FAILED = "failed"  #: a task failed, or the play never ran
    UNREACHABLE = "unreachable"  #: a host could not be reached
    TIMEOUT = "timeout"  #: ended at its deadline; the effect is not known
    CANCELLED = "cancelled"  #: a person ended it
    UNKNOWN = "unknown"  #: the runner stopped and nothing proves what happened

    @property
    def completed(self) -> bool:
        """Whether every task ran to its end without a failure of any kind."""
        return self in (Outcome.CHANGED, Outcome.NO_CHANGE)


class Purpose(StrEnum):
    """Why a playbook is run."""

    DRY_RUN = "dry_run"  #: `--check --diff`
    RECHECK = "recheck"  #: the dry run once more, because an approval took time
    REMEDIATION = "remediation"  #: the real thing
    UNDO = "undo"  #: the entry's declared undo
    PROBE = "probe"  #: a read-only entry that gathers evidence
    DRILL = "drill"  #: a fault is injected on purpose

    @classmethod
    def _missing_(cls, value: object) -> Purpose | None:
        return cls.DRY_RUN if value == "rehearsal" else None

    @property
    def check(self) -> bool:
        return self in (Purpose.DRY_RUN, Purpose.RECHECK)

    @property
    def acts(self) -> bool:
        """Whether it is run to change something."""
        return self in (Purpose.REMEDIATION, Purpose.UNDO)


class Result(StrEnum):
    """Three-valued answer of a check or of all of them. Missing data is unknown."""

    FIXED = "fixed"
    NOT_FIXED = "not_fixed"
    UNKNOWN = "unknown"


#: The ways in which alerts come from Alertmanager, from people, from cases and from the runner
#: itself. Any other source is the name of a sender in `intake.sources`.
SOURCES = ("webhook", "stdin", "pull", "watch", "prediction", "person", "case")
#: Sources that are the runner itself: no Alertmanager knows of their alerts.
OWN_SOURCES = frozenset({"watch", "prediction"})


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert of one delivery, as parsed and size-checked."""

    fingerprint: str  #: Alertmanager's hash of the labels, hexadecimal
    status: AlertStatus
    labels: Labels
    annotations: Labels
    starts_at: datetime  #: when it began by the sender's clock, which informs and orders nothing
    ends_at: datetime | None = None  #: None while firing
    generator_url: str = ""
    receiver: str = ""  #: Alertmanager's receiver name, un-escaped
    source: str = "webhook"  #: one of SOURCES, or the name of another sender
    pair: str = ""  #: what another sender calls this firing, so that "resolved" finds it
    undated: bool = False  #: no usable `startsAt` came, so `starts_at` is when it arrived
    late: bool = False  #: it was told as resolved before, and nobody has confirmed it since
    #: what in the message contradicts the rest of it, a sentence each; a person must look
    contradictions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  #: what is odd about the message and changes nothing

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "unnamed")

    @property
    def other_sender(self) -> str:
        """The name in `intake.sources` of who sent it; empty for everything else."""
        return "" if self.source in SOURCES else self.source


@dataclass(frozen=True, kw_only=True)
class Incident:
    """Our record of one activation of one alert, from arrival to end."""

    id: int
    alert: Alert
    state: State
    reason: str  #: of the last transition
    created_at: datetime
    updated_at: datetime
    environment: str
    ceiling: Level  #: what the command line or the source allowed at most
    #: whose credential brought the alert: `user:NAME`, or `alertmanager` for listen.auth
    sender: str | None = None
    requested_by: str | None = None  #: the person who asked for it by hand
    requested_entry: str | None = None  #: the entry that this person chose
    requested_values: Mapping[str, Any] = field(default_factory=dict)
    requested_hosts: tuple[str, ...] = ()
    #: the person who proposed `requested_entry` for this alert; it is handled as any alert is
    proposed_by: str | None = None
    retried_by: tuple[str, ...] = ()  #: the people who had it handled again
    hosts: tuple[str, ...] = ()
    part: str | None = None  #: of these hosts, as in `unit nginx.service`; None: the whole
    entry: str | None = None
    chosen: Mapping[str, Any] = field(default_factory=dict)  #: values that the decision gave
    level: Level | None = None
    deliveries: int = 1
    joined: int | None = None  #: the incident that handles this one too
    woken: bool = False  #: what it had joined has ended; it joins nothing again
    cancel_requested: bool = False
    holds: int = 0  #: how often it was held back for a time
    held_since: datetime | None = None  #: when it was held back first
    held_until: datetime | None = None  #: while it is held back: when it is looked at again

    @property
    def asked_by(self) -> tuple[str, ...]:
        """The people who may not approve it: who asked for it, proposed its entry, or had it
        handled again, and whose credential delivered its alert."""
        senders = (self.sender or "").split(", ")
        people = [name for name in senders if name.startswith("user:")]
        asked = filter(None, [self.requested_by, self.proposed_by])
        return tuple(dict.fromkeys([*asked, *people, *self.retried_by]))


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One change of state, or one act of a person: a row of the audit log."""

    sequence: int
    incident: int | None  #: None for acts that concern no incident, such as pause
    at: datetime
    actor: str  #: `runner`, or a person as `user:NAME`
    action: str  #: the new state, or the act: pause, resume, approve …
    previous: str | None
    reason: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    hash: str = ""

    def in_todays_words(self) -> Transition:
        """The same for people to read; its hash is of the words that are stored."""
        previous = todays_word(self.previous) if self.previous else self.previous
        return replace(self, action=todays_word(self.action), previous=previous)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A numbered, sourced fact. `text` is masked, size-capped and inert."""

    number: int
    kind: str  #: alert, metric, fact, log, inventory, history, runbook
    source: str  #: where it was read: a query, a path, a probe entry
    title: str
    text: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Who chose what, and why. `entry` is None when nothing was chosen."""

    decider: str  #: rules, model, or a person as `user:NAME`
    entry: str | None
    reason: str
    values: Mapping[str, Any] = field(default_factory=dict)  #: of `choice` parameters
    cited: tuple[int, ...] = ()  #: evidence numbers
    confidence: float = 1.0  #: 0 to 1
    alternatives: tuple[tuple[str, str], ...] = ()  #: (entry, why not)
    hosts: tuple[str, ...] = ()  #: of the incident's, those that were chosen; empty: all of them


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One rule's grant: how far it would let the incident go, and why."""

    rule: str  #: short form, used as a metric label: cooldown, breaker …
    level: Level
    text: str
    #: when it stops speaking, if nothing else happens; None when no clock says that
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Policy's answer: the least of all grants, with every reason."""

    level: Level
    reasons: tuple[Reason, ...]

    @property
    def limiting(self) -> tuple[Reason, ...]:
        """The reasons that hold the level down to what it is."""
        return tuple(reason for reason in self.reasons if reason.level is self.level)

    @property
    def why(self) -> str:
        """These reasons as one text."""
        return " ".join(reason.text for reason in self.limiting)


@dataclass(frozen=True, kw_only=True)
class GroupReach:
    """What a run takes from one group of the inventory."""

    group: str
    size: int  #: hosts of the group
    touched: tuple[str, ...]  #: those that the run can touch, sorted
    #: those that stay healthy and in service meanwhile, sorted; empty when nobody needs to know
    staying: tuple[str, ...]
    needed: int | None = None  #: how many must stay; None when nobody asks for a minimum
    takes: bool = True  #: whether a touched host may be in service; broken ones cannot be taken
    busy: int = 0  #: hosts in other runs
    sick: int = 0  #: hosts that are unhealthy or of unknown health
    grey: int = 0  #: greylisted hosts

    @property
    def left(self) -> int:
        return len(self.staying)

    def short(self, busy: Iterable[str] = ()) -> bool:
        """Whether too few would stay, when the hosts of `busy` are in other runs as well."""
        left = len(set(self.staying) - set(busy))
        return self.takes and self.needed is not None and left < self.needed


@dataclass(frozen=True, kw_only=True)
class BlastRadius:
    """What one run can touch, and what stays in service meanwhile."""

    hosts: tuple[str, ...]  #: of the plan, sorted
    part: str | None = None  #: the only part of these hosts that it acts on; None: the whole
    delegates: tuple[str, ...] = ()  #: further hosts that the play acts on, sorted
    groups: tuple[GroupReach, ...] = ()  #: those with a minimum first
    domains: tuple[str, ...] = ()  #: failure domains, as the inventory names them
    unknown: tuple[str, ...] = ()  #: why it cannot be known, a sentence each
    health: bool = True  #: whether somebody could be asked which hosts are healthy

    def crowded(self, busy: Iterable[str]) -> bool:
        """Whether some group would keep too few hosts, with those of `busy` in other runs."""
        taken = set(busy)
        return any(reach.short(taken) for reach in self.groups)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would run: the thing that a person approves, by its hash."""

    entry: str
    hosts: tuple[str, ...]  #: exact inventory names, sorted
    delegates: tuple[str, ...]  #: further hosts that the play was seen to touch
    variables: Mapping[str, Any]
    content: str  #: hash of playbook, role and entry files
    diff: str  #: hash of the diff of the first step's dry run; empty without one
    hash: str
    files: Mapping[str, str] = field(default_factory=dict)  #: name → digest, behind `content`
    #: host → variable → digest: what the play may read of the inventory
    inventory: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: where it acts: target, spare, peer → inventory name; empty for an ordinary plan
    places: Mapping[str, str] = field(default_factory=dict)
    #: each a plan of its own, in order; empty when the plan is its own only step
    steps: tuple[Plan, ...] = ()
    #: what Ansible loads beside these files: name → digest or version
    loaded: Mapping[str, str] = field(default_factory=dict)
    #: what it may load and no hash covers, a sentence each
    uncovered: tuple[str, ...] = ()
    key: str = field(default="", repr=False)  #: of the digests in `inventory`

    @property
    def touched(self) -> tuple[str, ...]:
        """Every host to lock, sorted."""
        return tuple(sorted({*self.hosts, *self.delegates}))

    @property
    def in_order(self) -> tuple[Plan, ...]:
        """What is run, one after another; at least one."""
        return self.steps or (self,)

    def called(self, step: int) -> str:
        """The step for people, as the beginning of a sentence; nothing when it is the only one."""
        if not self.steps:
            return ""
        own = self.steps[step - 1]
        return f"step {step} of {len(self.steps)}, {own.entry} on {', '.join(own.hosts)}: "


class Shown(StrEnum):
    """What a dry run showed of one task that would change something."""

    SHOWN = "shown"  #: the module gave its diff, whole
    STATED = "stated"  #: the entry's `dry_run.effects`: the state before, read, and the one after
    UNSHOWN = "unshown"  #: it would change something and gave no diff, or not all of it
    SKIPPED = "skipped"  #: check mode skipped it
    FAILED = "failed"  #: it failed, so it gave no result
    FED_BY_SKIPPED = "fed_by_skipped"  #: it rests on a result that a skipped task would have given
    CHANGED_ALREADY = "changed_already"  #: it really ran, in check mode, and changed something
    READ = "read"  #: it really ran and changed nothing: no change, so it counts for nothing

    @property
    def counts(self) -> bool:
        """Whether it is a change."""
        return self is not Shown.READ

    @property
    def visible(self) -> bool:
        """Whether a person sees what the change would do, before it is done."""
        return self in (Shown.SHOWN, Shown.STATED)


@dataclass(frozen=True, kw_only=True)
class TaskFidelity:
    """What the dry run showed of one task: the worst of its hosts."""

    task: str
    kind: Shown
    hosts: int


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """How much of what would change a dry run showed."""

    tasks: tuple[TaskFidelity, ...] = ()

    @property
    def changes(self) -> tuple[TaskFidelity, ...]:
        """The tasks that would change something, shown or not; reads are none of them."""
        return tuple(task for task in self.tasks if task.kind.counts)

    @property
    def hidden(self) -> tuple[TaskFidelity, ...]:
        """The changes whose effect nobody was shown before it is made."""
        return tuple(task for task in self.changes if not task.kind.visible)

    @property
    def share(self) -> float | None:
        """0 to 1: changes shown with their effect, of all changes; None without any change."""
        if not self.changes:
            return None
        return 1 - len(self.hidden) / len(self.changes)

    @property
    def percent(self) -> str:
        """The share for people, never rounded up: 100% means everything. Empty without one."""
        return "" if self.share is None else f"{int(self.share * 100 + 1e-9)}%"

    @property
    def counts(self) -> dict[Shown, int]:
        """How many tasks there are of each kind, in the order of `Shown`."""
        kinds = [task.kind for task in self.tasks]
        return {kind: kinds.count(kind) for kind in Shown if kind in kinds}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One start of ansible-runner: its intent, then its outcome."""

    id: str
    incident: int
    purpose: Purpose
    attempt: int
    step: int = 1  #: of the plan, from 1
    entry: str
    hosts: tuple[str, ...]
    part: str | None = None  #: the only part of these hosts that it acts on; None: the whole
    plan: str | None  #: hash of the plan, or of its step
    started_at: datetime
    deadline: datetime
    ended_at: datetime | None = None
    outcome: Outcome | None = None  #: None while it may still be running
    reason: str = ""
    stats: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)  #: `set_stats: remediation`
    diff: str = ""
    diff_hash: str = ""  #: of the whole normalised diff; empty without any change
    fidelity: Fidelity = field(default_factory=Fidelity)
    artifacts: str = ""  #: directory with what was kept
    seen: tuple[str, ...] = ()  #: hosts in its events, delegation included
    #: file → SHA-256 of what a dry run was seen to load
    loaded: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: (file, template) of each include that it decided
    included: frozenset[tuple[str, str]] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Check:
    """One verification check and what it saw."""

    kind: str  #: alert, promql, http, result
    target: str
    result: Result
    seen: str


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Whether the run had its effect."""

    result: Result
    reason: str
    checks: tuple[Check, ...]
    at: datetime


@dataclass(frozen=True, kw_only=True)
class PastResult:
    """What one earlier run of an entry came to."""

    incident: int
    at: datetime
    hosts: tuple[str, ...]
    outcome: Outcome | None
    result: Result | None  #: of its verification; None when it was never verified


@dataclass(frozen=True, kw_only=True)
class Record:
    """How earlier runs of one entry for one alert ended, in one environment."""

    fixed: int = 0
    not_fixed: int = 0
    unknown: int = 0  #: not verified, or without data
    last: tuple[PastResult, ...] = ()  #: newest first, a few of them
    uplift: str | None = None  #: what it adds over waiting, a sentence; None when not measured

    @property
    def runs(self) -> int:
        return self.fixed + self.not_fixed + self.unknown


@dataclass(frozen=True, kw_only=True)
class Brief:
    """What a person is told of the entry, as it stood when they were asked."""

    title: str
    description: str
    risk: str
    dry_run: str  #: required or none
    undo: str | None = None  #: id of the entry that takes it back
    undo_title: str = ""
    approvers: tuple[str, ...] = ()  #: names in the entry; empty: it narrows nothing
    record: Record = field(default_factory=Record)


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A question to a person and, once given, the answer."""

    id: int
    incident: int
    plan: str  #: plan hash: the answer counts for this plan only
    requested_by: str  #: who may not answer
    requested_at: datetime
    expires_at: datetime
    answer: str | None = None  #: approved, denied, expired, closed
    answered_by: str | None = None
    answered_at: datetime | None = None
    comment: str = ""
    brief: Brief | None = None  #: None only for a question of an older version
    asked: int = 1  #: how many times this plan was asked about, this time included
    #: rules that held the level down and that the person is shown; None: an older version's
    shown: tuple[str, ...] | None = None
