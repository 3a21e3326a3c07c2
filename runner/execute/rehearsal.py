"""What check mode showed: the diff, and how far it can be believed.

Fidelity looks at each task that can have an effect:

simulated        the module said what it would change
really_ran       the task has `check_mode: false`
skipped          check mode skipped it, or its result was too large to show
fed_by_skipped   it ran or its condition was decided, but on a name that a
                 skipped task should have set, directly or through `set_fact`

The names come from the task as written (arguments, `when`, `loop`, `until` …),
whole identifiers only. A name that passes through the variables of a role or
play is not followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.execute.events import Event, has_effect
from runner.incident import Fidelity, TaskFidelity

Facts = Mapping[str, Any]

MAX_DIFF = 256_000  # characters kept of a run's diff
_WORST_FIRST = ("skipped", "fed_by_skipped", "really_ran", "simulated")
_ENDS = frozenset(f"runner_on_{word}" for word in ("ok", "failed", "skipped", "unreachable"))


@dataclass
class _Task:
    """One task as it was started, and what it came to by host."""

    name: str
    reads: frozenset[str]
    sets: frozenset[str]
    ends: dict[str, Facts] = field(default_factory=dict)


def diff_of(events: Iterable[Event], *, check: bool) -> str:
    """All diffs of a run in task order, then host order; uncut."""
    order: dict[str, int] = {}
    found = []
    for event in events:
        if event.get("event") not in _ENDS:
            continue
        place = order.setdefault(event.get("uuid", ""), len(order))
        if text := _shown(event, check):
            found.append((place, event.get("host", ""), text))
    return "\n".join(text for _, _, text in sorted(found))


def fidelity_of(events: Iterable[Event], facts: Iterable[Facts]) -> Fidelity:
    """How much of each task with an effect a check-mode run really showed."""
    tasks = _tasks(facts)
    tainted: set[str] = set()
    ends = _ends(events)
    rows = []
    for uuid, task in tasks.items():
        fed = bool(task.reads & tainted)
        kinds = [_kind(event, task, fed) for event in ends.get(uuid, ())]
        if fed or "skipped" in kinds:
            tainted |= task.sets
        rows.append(_row(task.name, [kind for kind in kinds if kind]))
    rows += [_row(_name(of[0]), ["skipped"] * len(of)) for u, of in ends.items() if u not in tasks]
    return Fidelity(tasks=tuple(row for row in rows if row))


def _shown(event: Event, check: bool) -> str:
    result = event.get("res") or {}
    title = f"# {event.get('host')} · {_name(event)}"
    texts = [part.get("diff", "") for part in (result, *result.get("items", ()))]
    if text := "\n".join(filter(None, texts)):
        return f"{title}\n{text}"
    if result.get("lost"):
        return f"{title}\n(the result was too large to show)"
    if result.get("changed"):
        would = "would change" if check else "changed"
        return f"{title}\n({would}; {event.get('action')} gives no diff)"
    return ""


def _tasks(facts: Iterable[Facts]) -> dict[str, _Task]:
    """Tasks by id, in the order of their start."""
    tasks: dict[str, _Task] = {}
    for fact in facts:
        uuid = str(fact.get("uuid"))
        if "reads" in fact:
            reads, sets = frozenset(fact["reads"]), frozenset(fact["sets"])
            tasks.setdefault(uuid, _Task(str(fact.get("task")), reads, sets))
        elif uuid in tasks and "host" in fact:
            tasks[uuid].ends[fact["host"]] = fact
    return tasks


def _ends(events: Iterable[Event]) -> dict[str, list[Event]]:
    ends: dict[str, list[Event]] = {}
    for event in events:
        if event.get("event") in _ENDS:
            ends.setdefault(event.get("uuid", ""), []).append(event)
    return ends


def _kind(event: Event, task: _Task, fed: bool) -> str | None:
    """None when the task counts for nothing on that host."""
    fact = task.ends.get(event.get("host", ""), {})
    effect = has_effect(event.get("action", ""))
    if event["event"] == "runner_on_skipped" and fact.get("skipped") == "when":
        hides = effect or ".include_" in f".{event.get('action')}"
        return "fed_by_skipped" if fed and hides else None
    if not effect:
        return None
    if fact.get("skipped") == "check" or event["event"] != "runner_on_ok":
        return "skipped"
    if fed:
        return "fed_by_skipped"
    if (event.get("res") or {}).get("lost"):
        return "skipped"
    return "simulated" if fact.get("check", True) else "really_ran"


def _row(name: str, kinds: list[str]) -> TaskFidelity | None:
    for kind in _WORST_FIRST:
        if kind in kinds:
            return TaskFidelity(task=name, kind=kind, hosts=kinds.count(kind))
    return None


def _name(event: Event) -> str:
    return str(event.get("task") or event.get("action") or "unnamed task")
