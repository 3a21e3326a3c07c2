"""Who chooses an entry: the person who asked, the rules, the model, or both.

The model is asked about the entries that match and those that consider the alert. Where it asks
for a probe, it is asked once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from runner.catalog.choose import MOST, Option
from runner.catalog.near import near_misses
from runner.decide import rules
from runner.decide.both import Settled, settle
from runner.decide.injection import Detectors, Suspicion
from runner.decide.model import Opinion
from runner.decide.prompt import Question, choices_of
from runner.errors import RemoteError
from runner.evidence.number import number
from runner.incident import Decision, Evidence, Incident, State
from runner.project import Project
from runner.steps.considered import choosable
from runner.steps.gather import probed
from runner.steps.progress import Then, load, passed
from runner.store import incidents, records, runs
from runner.store.similar import find_similar


def decide(project: Project, incident_id: int) -> Then:
    """An entry, by a person's request, by the rules or by the model; none is for a person."""
    incident = load(project, incident_id)
    if passed(incident, State.DECIDED):
        return Then(not incident.state.ended)
    options = () if incident.requested_entry else _options(project, incident)
    found, evidence = _settled(project, incident, options)
    decision = found.decision
    # What people may propose in its place, as it stands now.
    offered = [each for each in options if each.why][:MOST]
    detail: dict[str, Any] = {}
    if offered:
        detail["considered"] = [
            {"entry": each.entry.id, "place": each.place, "why": each.why} for each in offered
        ]
    with project.database.write() as tx:
        for each in found.kept:
            records.put_decision(tx, incident_id, each)
        if evidence:
            records.put_evidence(tx, incident_id, evidence)
        if decision.entry is None:
            reason = decision.reason
            if offered:
                names = ", ".join(each.entry.id for each in offered[:_NAMED])
                reason += f" A person may propose {names}{' …' if len(offered) > _NAMED else '.'}"
            incidents.move(tx, incident_id, State.ESCALATED, reason, detail=detail)
            return Then.STOP
        detail |= {"entry": decision.entry, "decider": decision.decider}
        moved = incidents.move(
            tx,
            incident_id,
            State.DECIDED,
            decision.reason,
            detail=detail,
            entry=decision.entry,
            chosen=dict(decision.values),
        )
        return Then(moved)


#: Considered entries that the reason of an escalation names.
_NAMED = 3


def _options(project: Project, incident: Incident) -> tuple[Option, ...]:
    with project.database.read() as tx:
        similar = find_similar(tx, incident, limit=_PAST)
    return choosable(project, incident, similar)


def _settled(
    project: Project, incident: Incident, options: Sequence[Option]
) -> tuple[Settled, tuple[Evidence, ...]]:
    """The decision and every answer to keep; and all evidence, when a model had more gathered."""
    person = incident.requested_by or incident.proposed_by
    if incident.requested_entry is not None and person is not None:
        verb = "asked for" if incident.requested_by else "proposed"
        asked = Decision(
            decider=person,
            entry=incident.requested_entry,
            reason=f"{person} {verb} {incident.requested_entry}",
            values=incident.requested_values,
        )
        return Settled(decision=asked, kept=(asked,)), ()

    def holds(query: str) -> bool | None:
        """Whether a filled query gives a sample; None when nobody can tell."""
        try:
            return bool(project.prometheus.query(query)) if project.prometheus else None
        except RemoteError:
            return None

    labels = incident.alert.labels
    eligible = project.catalog.eligible(labels)
    by_rules = rules.decide(
        labels,
        eligible,
        holds,
        hosts=incident.hosts,
        near=near_misses(labels, project.catalog.by_kind("remediation")),
    )
    deciders, settings = project.config.deciders, project.config.model
    if deciders == "rules" or settings is None or not options:
        return Settled(decision=by_rules, kept=(by_rules,)), ()
    said = ask_model(project, incident, options)
    found = settle(by_rules, said, deciders=deciders, on_failure=settings.on_failure)
    return found, said.question.evidence


#: Attempt of the probe that a model asked for: those of gathering count from 1.
ASKED = 1000
_PAST = 20  #: earlier incidents that past results are counted over


def ask_model(project: Project, incident: Incident, options: Sequence[Option]) -> Opinion:
    """What the model says of this incident. Raises StoreError, and ConfigError for bad settings."""
    with project.database.read() as tx:
        evidence = records.evidence_of(tx, incident.id)
        similar = find_similar(tx, incident, limit=_PAST)
        done = {run.entry for run in runs.of_incident(tx, incident.id)}
    alert = incident.alert
    past_of = {}
    for entry in (option.entry for option in options[:MOST]):
        # How incidents of this alert ended that chose the entry: `3 fixed, 1 escalated`.
        past = [each for each in similar if (each.alert.name, each.entry) == (alert.name, entry.id)]
        counted = Counter(str(each.state) for each in past).most_common()
        ends = ", ".join(f"{count} {state}" for state, count in counted)
        past_of[entry.id] = (ends,) if ends else ()
    question = Question(
        labels=alert.labels,
        annotations=alert.annotations,
        choices=choices_of(project.catalog, options, past_of),
        unlisted=max(0, len(options) - MOST),
        evidence=evidence,
        hosts=incident.hosts,
        probes=tuple(
            probe
            for probe in project.catalog.by_kind("probe")
            if probe.id not in done and probe.eligible(alert.labels)
        ),
        environment=incident.environment,
    )
    begun = max(question.numbers, default=0)

    def probe(id: str) -> tuple[Evidence, ...]:
        found = probed(project, incident, id, datetime.now(UTC), attempt=ASKED)
        more = number(found, project.mask)
        return tuple(replace(item, number=item.number + begun) for item in more)

    return project.model.decide(question, incident=incident.id, probe=probe)


def suspicions(
    project: Project, incident: Incident, evidence: Sequence[Evidence]
) -> tuple[Suspicion, ...]:
    """Text in the incident that looks as if it were meant for the model; the same at each look."""
    if project.config.model is None:
        return ()
    detectors = Detectors(project.config.model.injection)
    alert = incident.alert
    return detectors.suspicions(alert.labels, alert.annotations, evidence, incident.hosts)
