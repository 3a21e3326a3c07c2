"""An incident in words: what a person reads before they approve, and afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from runner.cli.model_report import show_calls
from runner.incident import Approval, Incident, Purpose, State
from runner.incident_report import Bundle, Considered
from runner.incident_report.approval_request import (
    Pack,
    dry_run_of,
    fidelity_words,
    kind_words,
    radius_words,
)
from runner.incident_report.screen import STYLES, Screen
from runner.text import brief, duration

#: Lines of a diff that are shown unless all of it is asked for.
DIFF_LINES = 40


def age(at: datetime, now: datetime | None = None) -> str:
    """How long ago, in its two largest units: `3m20s ago`."""
    return f"{short((now or datetime.now(UTC)) - at)} ago"


def short(span: timedelta) -> str:
    """A duration for people: `0.4s`, `12s`, `3m20s`, `2d4h`."""
    seconds = max(0.0, span.total_seconds())  # two clocks may disagree
    if seconds < 10:
        return f"{seconds:.1f}s"
    for unit in (86400, 3600):
        if seconds >= unit:
            below = unit // 24 if unit == 86400 else 60
            return duration.write(timedelta(seconds=seconds // below * below))
    return duration.write(timedelta(seconds=int(seconds)))


def moment(at: datetime) -> str:
    """A time, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def until(at: datetime) -> str:
    """When something ends, as seen from now."""
    left = at - datetime.now(UTC)
    return f"in {short(left)}" if left > timedelta() else f"{short(-left)} ago"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 alert`, `2 alerts`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def place(incident: Incident) -> str:
    """Where the incident is: hosts when they are known, else what the alert says."""
    hosts = incident.hosts or incident.requested_hosts
    return ", ".join(hosts) or incident.alert.labels.get("instance", "")


def title(incident: Incident) -> str:
    """What the incident is about, in a few words."""
    where = place(incident)
    return f"{incident.alert.name} on {where}" if where else incident.alert.name


def show_incident(
    screen: Screen, bundle: Bundle, *, texts: bool, diff: bool, prompt: bool = False
) -> None:
    """Everything that is known, in the order in which it became known."""
    _head(screen, bundle.incident)
    evidence(screen, bundle, whole=texts)
    decisions(screen, bundle)
    if bundle.considered:
        screen.heading("May be proposed by a person, likeliest first")
        screen.pairs(
            (f"{each.place}. {each.entry}", f"not chosen by rules: {each.why}")
            for each in bundle.considered
        )
    show_calls(screen, bundle.calls, whole=prompt)
    show_verdict(screen, bundle)
    show_plan(screen, bundle, whole=diff)
    for approval in bundle.approvals:
        screen.heading(f"Approval {approval.id}")
        screen.line(f"  {answer_of(approval)}")
    _runs(screen, bundle)
    screen.heading("Timeline")
    following = [row.at for row in bundle.transitions[1:]]
    ends = [*following, None]
    for row, end in zip(bundle.transitions, ends, strict=True):
        lasted = short(end - row.at) if end else ""
        who = "" if row.actor == "runner" else f" ({row.actor})"
        at = f"{row.at.astimezone(UTC):%H:%M:%S}"
        line = f"  {at}  {lasted:>6}  {row.action:<10}  {row.reason}{who}"
        screen.line(line, STYLES.get(row.action, ""))
    if commands := next_commands(bundle.incident, bundle.approvals, bundle.considered):
        screen.heading("Next")
        for command in commands:
            screen.line(f"  {command}")


def _head(screen: Screen, incident: Incident) -> None:
    screen.line(f"Incident {incident.id}: {title(incident)}", "bold")
    screen.line(f"{incident.state}: {incident.reason}", STYLES.get(incident.state, ""))
    labels = " ".join(f"{k}={brief(v)}" for k, v in sorted(incident.alert.labels.items()))
    notes = (f"{k}: {brief(v, 200)}" for k, v in sorted(incident.alert.annotations.items()))
    screen.heading("Alert")
    by = f" by {incident.sender}" if incident.sender else ""
    screen.pairs(
        [
            ("labels", labels),
            *(("note", text) for text in notes),
            ("firing since", moment(incident.alert.starts_at)),
            ("fingerprint", incident.alert.fingerprint),
            (
                "received",
                f"from {incident.alert.source}{by}, {counted(incident.deliveries, 'time')}",
            ),
            *(("odd", text) for text in (*incident.alert.contradictions, *incident.alert.notes)),
            ("asked for by", incident.requested_by or incident.proposed_by or ""),
            ("hosts", ", ".join(incident.hosts)),
            ("part", incident.part or ""),
            ("held until", moment(incident.held_until) if incident.held_until else ""),
            ("handled by", f"incident {incident.joined}" if incident.joined else ""),
        ]
    )


def evidence(screen: Screen, bundle: Bundle, *, whole: bool, hint: bool = True) -> None:
    """The numbered facts; what they say only when all of it is asked for."""
    if not bundle.evidence:
        return
    screen.heading("Evidence")
    for item in bundle.evidence:
        screen.line(f"  [{item.number}] {item.title} ({item.kind}: {brief(item.source)})")
        if whole:
            screen.block(item.text, "      ")
    if hint and not whole:
        screen.line("  --evidence shows what they say", "dim")


def decisions(screen: Screen, bundle: Bundle) -> None:
    """Who chose what and why, and what else was considered."""
    for decision in bundle.decisions:
        screen.heading(f"Decision of {decision.decider}")
        cited = ", ".join(f"[{number}]" for number in decision.cited)
        values = " ".join(f"{name}={value}" for name, value in decision.values.items())
        screen.pairs(
            [
                ("entry", decision.entry or "none"),
                ("because", decision.reason),
                ("values", values),
                ("hosts", ", ".join(decision.hosts)),
                ("evidence", cited),
                ("confidence", f"{decision.confidence:.0%}"),
            ]
        )
        screen.pairs((f"not {entry}", why) for entry, why in decision.alternatives)


def show_verdict(screen: Screen, bundle: Bundle) -> None:
    """How far policy lets it go; what holds it there is marked."""
    if bundle.verdict is None:
        return
    screen.heading(f"Verdict: {bundle.verdict.level}")
    for reason in bundle.verdict.reasons:
        limits = reason in bundle.verdict.limiting
        mark = ">" if limits else " "
        line = f"{mark} {reason.level:<8}  {reason.rule}: {reason.text}"
        screen.line(line, "" if limits else "dim")


def show_plan(screen: Screen, bundle: Bundle, *, whole: bool) -> None:
    """What would run, and what check mode showed of it."""
    if (plan := bundle.plan) is not None:
        screen.heading("Plan")
        variables = " ".join(f"{name}={value}" for name, value in plan.variables.items())
        steps = []
        for number, step in enumerate(plan.steps, start=1):
            values = " ".join(f"{name}={value}" for name, value in step.variables.items())
            also = f", for {', '.join(step.delegates)}" if step.delegates else ""
            later = "" if number == 1 else "; its dry run comes right before it runs"
            text = f"{step.entry} on {', '.join(step.hosts)}{also}: {values}{later}"
            steps.append((f"step {number}", text))
        screen.pairs(
            [
                ("entry", plan.entry),
                ("hosts", ", ".join(plan.hosts)),
                ("touches also", ", ".join(plan.delegates)),
                ("blast radius", radius_words(bundle.radius)),
                ("variables", variables),
                *steps,
                ("hash", plan.hash),
            ]
        )
    if (run := dry_run_of(bundle)) is not None:
        screen.heading(f"Dry run: {run.outcome or 'under way'}")
        if run.outcome is None:
            return
        screen.pairs([("showed", run.reason), ("fidelity", fidelity_words(run))])
        screen.pairs((f"  {kind_words(task.kind)}", task.task) for task in run.fidelity.tasks)
        screen.diff(run.diff, "  ", None if whole else DIFF_LINES)


def show_pack(screen: Screen, pack: Pack, *, whole: bool, texts: bool) -> None:
    """All that a person needs to answer, the most important first."""
    show_brief(screen, pack)
    show_plan(screen, pack.bundle, whole=whole)
    decisions(screen, pack.bundle)
    show_verdict(screen, pack.bundle)
    last = pack.brief.record.last if pack.brief else ()
    if last:
        screen.heading(f"Past results: {pack.record}")
        for each in last:
            result = each.result or "not verified"
            line = f"  incident {each.incident}, {age(each.at)}, {', '.join(each.hosts)}: {result}"
            screen.line(line, STYLES.get(str(result), ""))
    evidence(screen, pack.bundle, whole=texts, hint=False)


def show_brief(screen: Screen, pack: Pack) -> None:
    """What fires, what is asked, and what it would touch."""
    alert, brief_ = pack.incident.alert, pack.brief
    summary = alert.annotations.get("summary") or alert.annotations.get("description") or ""
    approvers = ", ".join(brief_.approvers) if brief_ else ""
    screen.pairs(
        [
            ("fires", f"{alert.name} since {moment(alert.starts_at)} ({age(alert.starts_at)})"),
            ("says", brief(summary, 300)),
            ("would run", f"{pack.bundle.incident.entry}: {brief_.title if brief_ else ''}"),
            ("which", brief_.description if brief_ else ""),
            ("risk", brief_.risk if brief_ else ""),
            ("touches", pack.radius),
            ("undo", pack.undo),
            ("record", pack.record),
            ("approvers", approvers),
        ]
    )


def answer_of(approval: Approval) -> str:
    """How a question stands, as a sentence."""
    if approval.answer is None:
        return f"open; it expires {until(approval.expires_at)}"
    said = f"{approval.answer} by {approval.answered_by}"
    at = f" at {moment(approval.answered_at)}" if approval.answered_at else ""
    return said + at + (f": {approval.comment}" if approval.comment else "")


def _runs(screen: Screen, bundle: Bundle) -> None:
    for run in bundle.runs:
        if run.purpose.check or run.purpose is Purpose.PROBE:
            continue
        outcome = run.outcome or "under way"
        screen.heading(f"{run.purpose.capitalize()}, attempt {run.attempt}: {outcome}")
        took = short(run.ended_at - run.started_at) if run.ended_at else ""
        results = " ".join(f"{name}={brief(str(value))}" for name, value in run.results.items())
        screen.pairs(
            [("result", run.reason), ("took", took), ("reported", results),
             ("kept in", run.artifacts)]
        )  # fmt: skip
        if (found := bundle.verifications.get(run.id)) is not None:
            screen.line(f"  verified: {found.result}: {found.reason}", STYLES.get(found.result, ""))
            for check in found.checks:
                line = f"    {check.result:<9}  {check.kind} {check.target}: {check.seen}"
                screen.line(line, STYLES.get(check.result, ""))


def next_commands(
    incident: Incident,
    approvals: tuple[Approval, ...] = (),
    considered: tuple[Considered, ...] = (),
) -> list[str]:
    """What a person may want to type now."""
    number = incident.id
    if incident.state is State.WAITING:
        question = next((a.id for a in approvals if a.answer is None), None)
        if question is None:
            return []
        return [f"runner approval approve {question}", f"runner approval deny {question}"]
    if not incident.state.ended:
        return [f"runner incident cancel {number} --reason TEXT"]
    if incident.state in (State.FIXED, State.RESOLVED):
        return []
    if incident.joined:
        return [f"runner incident show {incident.joined}"]
    proposals = [f"runner incident propose {number} {each.entry}" for each in considered[:3]]
    return [*proposals, f"runner incident retry {number} --reason TEXT"]
