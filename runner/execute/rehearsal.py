"""What a dry run showed: the diff, and how far it can be believed.

Shown means that the effect of a change was shown (invariant 19). Each task that would change
something has one of the kinds of `Shown`; tasks that change nothing have none, and a task that
really ran in check mode and changed nothing is a read. A kind that hides something has a place
in the diff, too, so that a person sees it and a later dry run is compared with it.

Names that tasks hand on come from the task as written (arguments, `when`, `loop`, `until` …),
whole identifiers only. A name that passes through the variables of a role or
play is not followed.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from runner.catalog.dry_run import can_state, reads_only
from runner.catalog.entry import Effect
from runner.execute.diff import is_whole
from runner.execute.events import Event, has_effect
from runner.incident import Fidelity, Shown, TaskFidelity
from runner.text import brief

Facts = Mapping[str, Any]
#: (task's id, host) → the hosts that it was delegated to, in order; a loop can have several.
Delegates = Mapping[tuple[str, str], Sequence[str]]

MAX_DIFF = 256_000  # characters kept of a run's diff
MAX_STATE = 2_000  # characters of a state that an effect shows
MOST_DELEGATES = 5  # hosts that a title names
_WORST_FIRST = (
    Shown.CHANGED_ALREADY,
    Shown.FAILED,
    Shown.SKIPPED,
    Shown.FED_BY_SKIPPED,
    Shown.UNSHOWN,
    Shown.STATED,
    Shown.SHOWN,
    Shown.READ,
)
_ENDS = frozenset(f"runner_on_{word}" for word in ("ok", "failed", "skipped", "unreachable"))
_NOTES = {
    Shown.SKIPPED: "not shown: check mode skipped it",
    Shown.FAILED: "not shown: it failed",
    Shown.FED_BY_SKIPPED: "not known: it rests on a result that check mode skipped",
    Shown.CHANGED_ALREADY: "changed already, by the dry run: the task has check_mode: false",
}


@dataclass
class _Task:
    """One task as it was started, and what it came to by host."""

    name: str
    reads: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    stated: bool = False  #: it has `changed_when`, which speaks for the module
    never: bool = False  #: it has `check_mode: true`, so that no run changes anything by it
    reading: bool = False  #: it has `check_mode: false`
    spared: bool = False  #: its condition looks at `ansible_check_mode`
    ends: dict[str, Facts] = field(default_factory=dict)


@dataclass(frozen=True)
class _Change:
    """What one task came to on one host."""

    task: int  #: in the order of their start
    host: str
    name: str
    kind: Shown
    text: str  #: of the diff


def diff_of(events: Iterable[Event], facts: Iterable[Facts] = ()) -> str:
    """All diffs of a real run in task order, then host order; uncut."""
    facts = list(facts)
    delegates = _delegates(facts)
    # Under `no_log`, only the facts know that a task changed something.
    changed = {(fact.get("uuid"), fact.get("host")) for fact in facts if fact.get("changed")}
    order: dict[str, int] = {}
    found = []
    for event in events:
        if event.get("event") not in _ENDS:
            continue
        place = order.setdefault(event.get("uuid", ""), len(order))
        result = event.get("res") or {}
        text = _diff(result) or ("(the result was too large to show)" if result.get("lost") else "")
        did = result.get("changed") or (event.get("uuid"), event.get("host")) in changed
        if did and not text:
            text = f"(changed; {_no_diff(event)})"
        if text:
            found.append((place, event.get("host", ""), f"{_title(event, delegates)}\n{text}"))
    return "\n".join(text for _, _, text in sorted(found))


def seen_in(
    events: Iterable[Event],
    facts: Iterable[Facts],
    effects: Sequence[Effect] = (),
    reads: Collection[str] = (),
) -> tuple[str, Fidelity]:
    """The diff of a dry run, uncut, and how much of each change it shows.

    `reads` names tasks that only read, by the entry's word: a condition may leave them out.
    """
    facts = list(facts)
    tasks: dict[str, _Task] = {}  # by id, in the order of their start
    for fact in facts:
        uuid = str(fact.get("uuid"))
        if "reads" in fact:
            task = _Task(
                name=str(fact.get("task")),
                reads=frozenset(fact["reads"]),
                sets=frozenset(fact["sets"]),
                stated=bool(fact.get("stated")),
                never=bool(fact.get("never")),
                reading=bool(fact.get("reading")),
                spared=bool(fact.get("spared")),
            )
            tasks.setdefault(uuid, task)
        elif uuid in tasks and "host" in fact:
            tasks[uuid].ends[fact["host"]] = fact
    changes = _changes(events, tasks, effects, reads, _delegates(facts))
    length = 0
    for place, change in enumerate(changes):
        length += len(change.text) + 1 if change.text else 0
        if length > MAX_DIFF + 1 and change.kind.visible:
            changes[place] = replace(change, kind=Shown.UNSHOWN)  # it lies behind the cut
    rows = []
    for number in dict.fromkeys(change.task for change in changes):
        of_task = [change for change in changes if change.task == number]
        kinds = [change.kind for change in of_task]
        worst = next(kind for kind in _WORST_FIRST if kind in kinds)
        rows.append(TaskFidelity(task=of_task[0].name, kind=worst, hosts=kinds.count(worst)))
    text = "\n".join(change.text for change in changes if change.text)
    return text, Fidelity(tasks=tuple(rows))


def summary(fidelity: Fidelity) -> str:
    """What a dry run leaves open, for the end of a sentence; empty when it showed everything."""
    already = [task.task for task in fidelity.changes if task.kind is Shown.CHANGED_ALREADY]
    others = [task.task for task in fidelity.hidden if task.task not in already]
    found = [f"not shown: {_names(others)}"] if others else []
    found += [f"changed already, by the dry run: {_names(already)}"] if already else []
    return "".join(f"; {text}" for text in found)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _changes(
    events: Iterable[Event],
    tasks: dict[str, _Task],
    effects: Sequence[Effect],
    reads: Collection[str],
    delegates: Delegates,
) -> list[_Change]:
    """Every change and read of a dry run, in the order of the tasks' start, then of the hosts."""
    ends: dict[str, list[Event]] = {}
    for event in events:
        if event.get("event") in _ENDS:
            uuid = event.get("uuid", "")
            ends.setdefault(uuid, []).append(event)
            tasks.setdefault(uuid, _Task(_name(event)))
    tainted: set[str] = set()
    states: dict[tuple[str, str], str] = {}
    found = []
    for number, (uuid, task) in enumerate(tasks.items()):
        fed = bool(task.reads & tainted)
        for event in sorted(ends.get(uuid, ()), key=lambda event: str(event.get("host"))):
            host, kind = str(event.get("host")), _kind(event, task, fed)
            if kind in (Shown.SKIPPED, Shown.FAILED) and task.spared and _bare(event) in reads:
                kind = None
            text = _text(event, task, kind) if kind else ""
            if kind is Shown.UNSHOWN and (state := _stated(event, effects, states)):
                kind, text = Shown.STATED, state
            if kind:
                text = f"{_title(event, delegates)}\n{text}" if text else ""
                found.append(_Change(number, host, _name(event), kind, text))
            if not fed and (state := _state(event, task)):
                states[_bare(event), host] = state
        if fed or any(_is_missing(event, task) for event in ends.get(uuid, ())):
            tainted |= task.sets
    return found


def _kind(event: Event, task: _Task, fed: bool) -> Shown | None:
    """None when the task would change nothing on that host."""
    action, fact = event.get("action", ""), _fact(event, task)
    if event["event"] == "runner_on_skipped" and fact.get("skipped") == "when":
        if (not has_effect(action) and ".include_" not in f".{action}") or reads_only(action):
            return None
        if task.spared and not task.reading:
            return Shown.SKIPPED
        return Shown.FED_BY_SKIPPED if fed else None
    if not has_effect(action):
        return None
    if _is_missing(event, task):
        failed = event["event"] in ("runner_on_failed", "runner_on_unreachable")
        return None if reads_only(action) else Shown.FAILED if failed else Shown.SKIPPED
    result = event.get("res") or {}
    changes = _says_changed(event, fact) or bool(_diff(result))
    if not fact.get("check", True):
        return Shown.CHANGED_ALREADY if changes else Shown.READ
    if reads_only(action) or task.never:
        return None
    if fed:
        return Shown.FED_BY_SKIPPED
    if changes:  # shown when all of it is in the diff; of a loop, of each item that changes
        items = result.get("items", ())
        parts = [item for item in items if item.get("changed") or item.get("diff")] or [result]
        whole = all(is_whole(part.get("diff", "")) for part in parts)
        return Shown.SHOWN if whole else Shown.UNSHOWN
    return Shown.UNSHOWN if result.get("lost") or task.stated else None


def _says_changed(event: Event, fact: Facts) -> bool:
    """Under `no_log`, and where a result was too large, only the facts know it."""
    return bool((event.get("res") or {}).get("changed") or fact.get("changed"))


def _fact(event: Event, task: _Task) -> Facts:
    return task.ends.get(event.get("host", ""), {})


def _is_missing(event: Event, task: _Task) -> bool:
    """Whether the task gave no result in check mode: skipped by it, failed, or never told of."""
    fact = _fact(event, task)
    if event["event"] == "runner_on_skipped" and fact.get("skipped") == "when":
        return False
    return not fact or fact.get("skipped") == "check" or event["event"] != "runner_on_ok"


def _text(event: Event, task: _Task, kind: Shown) -> str:
    """The change's part of the diff, without its title; a read has none."""
    if kind is Shown.READ:
        return ""
    result = event.get("res") or {}
    text = _diff(result)
    note = _NOTES.get(kind, "")
    if kind is Shown.SKIPPED and _fact(event, task).get("skipped") == "when":
        note = "not shown: its condition leaves it out of a dry run"
    elif kind is Shown.UNSHOWN and result.get("lost"):
        note = "the result was too large to show"
    elif kind is Shown.UNSHOWN and text:
        note = "its diff is not shown whole"
    elif kind is Shown.UNSHOWN and _says_changed(event, _fact(event, task)):
        note = f"would change; {_no_diff(event)}"
    elif kind is Shown.UNSHOWN:
        note = "not known: its changed_when says that nothing changes, and no diff shows it"
    return "\n".join(filter(None, (text, note and f"({note})")))


def _no_diff(event: Event) -> str:
    """Why a change has no diff: Ansible withholds the results of a task with `no_log`."""
    result = event.get("res") or {}
    if any(part.get("censored") for part in (result, *result.get("items", ()))):
        return "no_log hides its diff"
    return f"{event.get('action')} gives no diff"


def _diff(result: Mapping[str, Any]) -> str:
    parts = [part.get("diff", "") for part in (result, *result.get("items", ()))]
    return "\n".join(filter(None, parts))


def _state(event: Event, task: _Task) -> str:
    """What a task that read the host printed; empty for any other task."""
    action, result = event.get("action", ""), event.get("res") or {}
    if not has_effect(action) or _is_missing(event, task) or event["event"] != "runner_on_ok":
        return ""
    if _says_changed(event, _fact(event, task)) or result.get("lost") or result.get("rc"):
        return ""
    return str(result.get("stdout") or result.get("msg") or "").strip()


def _stated(event: Event, effects: Sequence[Effect], states: Mapping[tuple[str, str], str]) -> str:
    """The state before, as it was read on the host, and the state after, as the entry promises.

    Empty when no effect is declared for the task, or nothing read its state in this dry run.
    """
    effect = next((each for each in effects if each.task == _bare(event)), None)
    if effect is None or not can_state(event.get("action", "")) or _diff(event.get("res") or {}):
        return ""
    before = states.get((effect.before, str(event.get("host"))), "")
    if not before or len(before) > MAX_STATE:
        return ""
    lines = [f"--- before, by: {effect.before}", "+++ after, compared with the run's report"]
    lines += [f"-{line}" for line in before.splitlines()]
    lines += [f"+{name}: {json.dumps(value)}" for name, value in effect.after.items()]
    return "\n".join(lines)


def _delegates(facts: Iterable[Facts]) -> Delegates:
    found: dict[tuple[str, str], dict[str, bool]] = defaultdict(dict)
    for fact in facts:
        if fact.get("delegate"):
            names = found[str(fact.get("uuid")), str(fact.get("host"))]
            name = brief(str(fact["delegate"]))
            names[name] = names.get(name, False) or bool(fact.get("changed"))
    # Of a loop, those that were changed; where nothing was, those that would have been looked at.
    changed = {place: [n for n, did in names.items() if did] for place, names in found.items()}
    return {place: changed[place] or list(names) for place, names in found.items()}


def _title(event: Event, delegates: Delegates) -> str:
    """`# web1 · Write the text`; `# web1 → lb1 · Tell the balancer` where it acts on lb1."""
    host = str(event.get("host"))
    names = delegates.get((event.get("uuid", ""), host), [host])
    more = f" and {len(names) - MOST_DELEGATES} more" if len(names) > MOST_DELEGATES else ""
    acted = f" → {', '.join(names[:MOST_DELEGATES])}{more}" if list(names) != [host] else ""
    return f"# {host}{acted} · {_name(event)}"


def _name(event: Event) -> str:
    return str(event.get("task") or event.get("action") or "unnamed task")


def _bare(event: Event) -> str:
    """The task's name without the role's, which stands before it."""
    return _name(event).rpartition(" : ")[2]
