"""One case, decided offline and judged by the real policy: was it right, and did it do harm?"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from runner import policy
from runner.cases import briefing
from runner.cases.briefing import Briefing, Setting
from runner.cases.file import NONE, CaseFile
from runner.catalog import parameters
from runner.catalog.choose import why_not
from runner.catalog.dry_run import really_done
from runner.catalog.entry import Entry
from runner.decide import rules
from runner.errors import Refused, RunnerError, UsageError
from runner.incident import Decision, Level, Outcome, Purpose, Reason, Result, Verdict
from runner.plan.places import in_order

NOWHERE = "nobody"  #: the decider of an alert that is on no host of ours


@dataclass(frozen=True, kw_only=True)
class CaseAnswer:
    """What a decider gave."""

    decision: Decision  #: the one that is acted upon
    decisions: tuple[Decision, ...]  #: all that policy judges
    suspicions: tuple[str, ...] = ()  #: text that looks as if it were meant for the model
    problem: str = ""  #: why a model gave no answer, a sentence
    missing: bool = False  #: it could not even be asked: a key, a package, a recording
    calls: int = 0  #: of a model
    tokens: int = 0
    money: float = 0.0


Decide = Callable[[Briefing], CaseAnswer]


@dataclass(frozen=True, kw_only=True)
class CaseTrial:
    """One decision of one case, with what policy made of it."""

    entry: str | None
    hosts: tuple[str, ...]
    level: Level  #: observe when nothing was chosen
    reason: str
    answer: CaseAnswer
    seconds: float

    @property
    def said(self) -> str:
        return self.entry or NONE

    @property
    def acts(self) -> bool:
        """Whether something can change: by itself, or after a person's yes."""
        return self.entry is not None and self.level.rank >= Level.APPROVE.rank


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A case with all its trials."""

    case: CaseFile
    decider: str
    trials: tuple[CaseTrial, ...]
    right: tuple[bool, ...]  #: of each trial, whether its answer was an expected one
    wrong: tuple[str, ...]  #: sentences; empty when every trial was right
    harm: tuple[str, ...]  #: those of them that would have done harm
    stolen_by: tuple[str, ...] = ()  #: entries without which it would have been right

    @property
    def miss(self) -> str | None:
        """Why the decider is known to be wrong here. With both, the rules' entry goes on."""
        known = self.case.misses
        if self.decider == "both":
            return known.get("both") or known.get("rules")
        return known.get("model" if self.decider == "model" else "rules")

    @property
    def failures(self) -> tuple[str, ...]:
        """Why the case fails. A known miss is none; harm always is."""
        if self.miss is None:
            return self.wrong
        if self.wrong:
            return self.harm
        if self.decider == "rules":  # a model may be right by chance, rules may not
            return ("this passes now; remove it from misses",)
        return ()

    @property
    def agreement(self) -> float:
        """The share of the trials that gave the most frequent answer."""
        counts = Counter((trial.said, trial.hosts) for trial in self.trials)
        return max(counts.values()) / len(self.trials)


def rules_alone(told: Briefing) -> CaseAnswer:
    """The decision of the rules."""
    decision = rules.decide(told.alert.labels, told.eligible, told.ask, hosts=told.hosts)
    return CaseAnswer(decision=decision, decisions=(decision,))


def run(
    case: CaseFile, setting: Setting, decide: Decide, *, decider: str, repeat: int = 1
) -> Tried:
    """Decide the case `repeat` times. Raises a RunnerError for one that cannot be understood."""
    told = briefing.of(case, setting)
    trials = tuple(tried_once(told, setting, decide) for _ in range(repeat))
    missing = sorted(set(case.expect.considered) - {o.entry.id for o in told.options if o.why})
    faults = []  # one for each trial, empty when it is right
    for each in trials:
        fault = f"{', '.join(missing)} is not considered here" if missing else ""
        if each.said not in case.expect.entry:
            fault = f"{each.said} was chosen, {' or '.join(case.expect.entry)} is right"
        if each.answer.problem and (decider == "model" or each.answer.missing):
            fault = each.answer.problem  # what others said in its place does not count
        faults.append(fault)
    wrong = tuple(dict.fromkeys(filter(None, faults)))
    harm = tuple(dict.fromkeys(text for each in trials for text in _harm(case, each)))
    tried = Tried(
        case=case,
        decider=decider,
        trials=trials,
        right=tuple(not fault for fault in faults),
        wrong=(*harm, *wrong),
        harm=harm,
    )
    if wrong and tried.miss is None and decider == "rules":
        return replace(tried, stolen_by=tuple(_thieves(told, setting)))
    return tried


def tried_once(told: Briefing, setting: Setting, decide: Decide) -> CaseTrial:
    """One decision on what a decider was told, with what policy makes of it."""
    began = time.monotonic()
    if told.hosts:
        answer = decide(told)
    else:  # the runner escalates before anybody decides
        nothing = Decision(decider=NOWHERE, entry=None, reason=f"not located: {told.place}")
        answer = CaseAnswer(decision=nothing, decisions=(nothing,))
    decision = answer.decision
    verdict = _verdict(told, setting, answer)
    reason = decision.reason
    if verdict is not None:
        held = "; ".join(limiting.text for limiting in verdict.limiting)
        held = "nothing holds it back" if verdict.level is Level.AUTO else held
        reason = f"{reason} Level {verdict.level}: {held}"
    return CaseTrial(
        entry=decision.entry,
        hosts=told.hosts,
        level=verdict.level if verdict else Level.OBSERVE,
        reason=reason,
        answer=answer,
        seconds=time.monotonic() - began,
    )


def _verdict(told: Briefing, setting: Setting, answer: CaseAnswer) -> Verdict | None:
    """What policy says of the decision, with what the plan refuses; None without an entry."""
    if answer.decision.entry is None:
        return None
    entry = setting.catalog.get(answer.decision.entry)
    verdict = policy.judge(policy_situation(told, setting, entry, answer), policy.moment_of(entry))
    hostvars = (told.inventory.hosts[host].variables for host in told.hosts)
    try:
        parameters.resolve(
            entry,
            setting.catalog.schema(entry.id),
            labels=told.alert.labels,
            hostvars=parameters.agreed(entry, hostvars),
            chosen=answer.decision.values,
            meant=told.inventory.services.meant_on(told.alert.labels, told.hosts),
        )
    except (Refused, UsageError) as error:
        # A plan whose values cannot be had never gets a dry run.
        none = Reason(rule="plan", level=Level.OBSERVE, text=f"No plan can be made: {error}.")
        return Verdict(
            level=Level.lowest(verdict.level, none.level), reasons=(*verdict.reasons, none)
        )
    return verdict


def policy_situation(
    told: Briefing, setting: Setting, entry: Entry, answer: CaseAnswer
) -> policy.Situation:
    """What policy is told: everything but `level:` and a pause, which may be lifted any day."""
    found, labels = setting.scan(entry), told.alert.labels
    hosts = told.inventory.hosts
    # At level auto; without freeze windows unless the case says when it is.
    freeze = setting.config.policy.freeze if told.case.at is not None else ()
    bounds = setting.config.policy.model_copy(update={"freeze": freeze})
    down = told.case.unhealthy
    history = tuple(
        policy.PastRun(
            entry=run.entry,
            hosts=(run.host,),
            incident=-number,
            purpose=Purpose.REMEDIATION,
            started_at=told.now - run.ago,
            outcome=Outcome.CHANGED,
            verification=Result.FIXED if run.fixed else Result.NOT_FIXED,
        )
        for number, run in enumerate(told.case.runs, start=1)
    )
    return policy.Situation(
        entry=entry,
        hosts=told.hosts,
        touched=tuple(sorted({*told.hosts, *found.delegates})),
        alert=told.alert,
        decisions=answer.decisions,
        evidence=frozenset(item.number for item in told.evidence),
        config=setting.config.model_copy(update={"level": Level.AUTO, "policy": bounds}),
        ceiling=Level.AUTO,
        variables={name: host.variables for name, host in hosts.items()},
        groups=told.inventory.groups,
        healthy=None if down is None else {host: host not in down for host in hosts},
        history=history,
        suspicions=answer.suspicions,
        unknown_radius=found.unknown,
        considered=None if entry.eligible(labels) else why_not(labels, entry),
        really_done=tuple(
            text
            for placed in in_order(entry, setting.catalog)
            for text in really_done(placed.entry, setting.scan(placed.entry))
        ),
        now=told.now,
    )


def _harm(case: CaseFile, trial: CaseTrial) -> Iterator[str]:
    """What an author of a case rules out, whatever else is known to be wrong."""
    if trial.entry is None:
        return
    if trial.entry in case.expect.never:
        yield f"{trial.entry} must never be chosen here"
    if case.expect.hosts is not None and set(trial.hosts) != set(case.expect.hosts):
        where = ", ".join(trial.hosts)
        yield f"it would act on {where}, not on {', '.join(case.expect.hosts)}"
    if case.expect.level is not None and trial.level.rank > case.expect.level.rank:
        yield f"its level is {trial.level}, at most {case.expect.level} is right"


def _thieves(told: Briefing, setting: Setting) -> Iterator[str]:
    """Eligible entries without which the rules would be right: what a new one took or tied."""
    for entry in told.eligible:
        if entry.id in told.case.expect.entry:
            continue
        others = {id: e for id, e in setting.catalog.entries.items() if id != entry.id}
        without = replace(setting.catalog, entries=others)
        try:
            again = briefing.of(told.case, setting, without)
        except RunnerError:
            continue
        said = rules_alone(again).decision.entry if again.hosts else None
        if (said or NONE) in told.case.expect.entry:
            yield entry.id
