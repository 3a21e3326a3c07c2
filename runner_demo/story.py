"""What happens to an incident, told once each and in order: from stored bundles to events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from runner.execute.request import TaskEvent
from runner.incident import Purpose, Run, State, Transition
from runner.incident_report import Bundle

Task = tuple[Run, TaskEvent]


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing to show. `data` holds nouns, which `bundle.to_json` can write."""

    kind: str
    at: datetime
    data: Mapping[str, Any]


def event(kind: str, **data: Any) -> Event:
    """An event of now."""
    return Event(kind=kind, at=datetime.now(UTC), data=data)


#: State → the run whose tasks are seen while the incident stands there.
_RUNS = {
    State.LOCATED: Purpose.PROBE,
    State.JUDGED: Purpose.DRY_RUN,
    State.APPROVED: Purpose.RECHECK,
    State.RUNNING: Purpose.REMEDIATION,
    State.UNDOING: Purpose.UNDO,
}


class Story:
    """Remembers what was told of one incident."""

    def __init__(self) -> None:
        self._told = 0  # sequence of the last transition that was told
        self.state = State.ADMITTED  #: where the story stands, perhaps behind the store
        self._tasks: list[Task] = []
        self._cleared = False

    def news(self, bundle: Bundle, tasks: Sequence[Task], *, firing: bool) -> Iterator[Event]:
        """The events since the last call. `tasks` are those that ended since then."""
        self._tasks += tasks
        for transition in bundle.transitions:
            if transition.sequence > self._told:
                self._told = transition.sequence
                yield from self._flush()
                yield from self._next(bundle, transition)
        yield from self._flush()
        if not firing and self.state is State.VERIFYING and not self._cleared:
            self._cleared = True
            yield event("cleared", alert=bundle.incident.alert.name)

    def _next(self, bundle: Bundle, transition: Transition) -> Iterator[Event]:
        if transition.action in ("step", "left_out"):
            yield Event(kind="step", at=transition.at, data={"reason": transition.reason})
        if transition.action not in list(State):
            return
        self.state = State(transition.action)
        for kind, data in _TOLD.get(self.state, _ended)(bundle):
            yield Event(kind=kind, at=transition.at, data={**data, "reason": transition.reason})

    def _flush(self) -> Iterator[Event]:
        """The tasks of the run that belongs to where the story stands; others wait."""
        purpose = _RUNS.get(self.state)
        for run, task in [pair for pair in self._tasks if pair[0].purpose is purpose]:
            yield Event(kind="task", at=task.at, data={"purpose": run.purpose, "task": task})
        self._tasks = [pair for pair in self._tasks if pair[0].purpose is not purpose]


Told = Iterable[tuple[str, dict[str, Any]]]


def _running(bundle: Bundle) -> Told:
    assert bundle.plan is not None, "what has no plan does not run"
    plan = bundle.plan
    yield "run", {"entry": plan.entry, "hosts": plan.hosts, "steps": len(plan.steps)}


def _ended(bundle: Bundle) -> Told:
    if bundle.decisions and bundle.decisions[-1].entry is None:
        yield "decision", {"decision": bundle.decisions[-1]}
    run = _newest(bundle, Purpose.REMEDIATION)
    if run is not None and run.id in bundle.verifications:
        yield "verification", {"verification": bundle.verifications[run.id]}
    yield "end", {"incident": bundle.incident.id, "state": bundle.incident.state}


def _newest(bundle: Bundle, purpose: Purpose) -> Run | None:
    return next((run for run in reversed(bundle.runs) if run.purpose is purpose), None)


#: State → what is told when the incident reaches it; every other state is an end.
_TOLD: Mapping[State, Callable[[Bundle], Told]] = {
    State.ADMITTED: lambda bundle: [
        ("alert", {"alert": bundle.incident.alert}),
        ("admitted", {"incident": bundle.incident.id, "deliveries": bundle.incident.deliveries}),
    ],
    State.LOCATED: lambda bundle: [("located", {"hosts": bundle.incident.hosts})],
    State.GATHERED: lambda bundle: [("evidence", {"items": bundle.evidence})],
    State.DECIDED: lambda bundle: [("decision", {"decision": each}) for each in bundle.decisions],
    State.HELD: lambda bundle: [],
    State.JUDGED: lambda bundle: [("verdict", {"verdict": bundle.verdict})],
    State.PLANNED: lambda bundle: [
        (
            "dry_run",
            {
                "run": _newest(bundle, Purpose.DRY_RUN),
                "plan": bundle.plan,
                "verdict": bundle.verdict,
            },
        )
    ],
    State.WAITING: lambda bundle: [
        ("question", {"approval": bundle.approvals[-1], "plan": bundle.plan})
    ],
    State.APPROVED: lambda bundle: [
        ("answer", {"approval": bundle.approvals[-1] if bundle.approvals else None})
    ],
    State.RUNNING: _running,
    State.VERIFYING: lambda bundle: [("outcome", {"run": _newest(bundle, Purpose.REMEDIATION)})],
    State.UNDOING: lambda bundle: [("undo", {})],
}
