"""From what a run left behind to its RunResult, and the tidying that goes with it.

While a run goes on, its raw events lie in the private folder, in memory where
possible. Afterwards they are masked into the run's folder and the private one
is removed; doing that twice gives the same result.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runner.catalog.entry import Effect
from runner.execute import diff, rehearsal
from runner.execute.events import Event, cut, read_lines
from runner.execute.files import write_whole
from runner.execute.outcome import Ending, Messages, judge
from runner.execute.request import RunResult, TaskEvent
from runner.incident import Fidelity

Mask = Callable[[str], str]

MAX_TASKS = 2_000  # task events in a result
_STATUS = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_skipped": "skipped",
    "runner_on_unreachable": "unreachable",
}


def finish(folder: Path, intent: Mapping[str, Any], mask: Mask, stopped: str | None) -> RunResult:
    """The result of a run that has ended; what is kept of it is masked and tidied.

    `folder` is the run's own; `stopped` says why we ended a run that left no ending.
    """
    private = Path(intent["private"])
    for name in ("events.jsonl", "facts.jsonl"):
        _keep(private / name, folder / name, mask)
    ending = _ending(folder, stopped)
    result = _result(folder, intent, ending, mask)
    shutil.rmtree(private, ignore_errors=True)
    return result


def task_event(event: Event) -> TaskEvent | None:
    """The event for a live display, when it is the end of a task on one host."""
    status = _STATUS.get(event.get("event", ""))
    if status is None or "host" not in event:
        return None
    result = event.get("res") or {}
    return TaskEvent(
        host=str(event["host"]),
        task=str(event.get("task") or event.get("action") or "unnamed task"),
        action=str(event.get("action", "")),
        status="changed" if status == "ok" and result.get("changed") else status,
        at=_time(event.get("at")),
        duration=timedelta(seconds=float(event.get("duration") or 0)),
        text=cut(_text(event), 2_000),
    )


def masked(value: Any, mask: Mask) -> Any:
    """`value` with `mask` over every text in it, keys left alone."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list):
        return [masked(item, mask) for item in value]
    if isinstance(value, dict):
        return {key: masked(item, mask) for key, item in value.items()}
    return value


def mask_event(event: Event, mask: Mask) -> Event:
    """The event with what hosts and tasks said masked; names and ids stay as they are."""
    said = {key: event[key] for key in ("stdout", "res", "results", "task") if key in event}
    return event | dict(masked(said, mask))


def _keep(source: Path, target: Path, mask: Mask) -> None:
    if not source.exists():
        return
    lines = (json.dumps(mask_event(line, mask)) for line in read_lines(source))
    write_whole(target, "".join(f"{line}\n" for line in lines).encode())


def _ending(folder: Path, stopped: str | None) -> Ending:
    for record in read_lines(folder / "ending.json"):
        return Ending.parse(record)
    seen = {event["host"] for event in read_lines(folder / "events.jsonl") if "host" in event}
    error = "" if stopped else "the run's supervisor went away and left no ending"
    return Ending(stopped=stopped, error=error, hosts_seen=frozenset(seen))


def _result(folder: Path, intent: Mapping[str, Any], ending: Ending, mask: Mask) -> RunResult:
    events = list(read_lines(folder / "events.jsonl"))
    check = bool(intent["check"])
    outcome, reason = judge(
        ending, hosts=intent["hosts"], allowed=intent["allowed"], messages=_messages(events)
    )
    whole, fidelity = rehearsal.diff_of(events), Fidelity()
    if check:
        facts = read_lines(folder / "facts.jsonl")
        effects = [Effect.model_validate(effect) for effect in intent.get("effects", ())]
        whole, fidelity = rehearsal.seen_in(events, facts, effects, intent.get("reads", ()))
        reason += rehearsal.summary(fidelity) if outcome.completed else ""
    return RunResult(
        id=intent["id"],
        outcome=outcome,
        reason=mask(reason),
        started_at=_time(intent["started_at"]),
        ended_at=ending.ended_at or datetime.now(UTC),
        artifacts=folder,
        stats=ending.stats or {},
        results=next((event["results"] for event in events if event.get("results")), {}),
        diff=cut(whole, rehearsal.MAX_DIFF),
        diff_hash=diff.hash_of(whole),
        fidelity=fidelity,
        hosts_seen=ending.hosts_seen,
        tasks=tuple(filter(None, map(task_event, events)))[:MAX_TASKS],
    )


def _messages(events: list[Event]) -> Messages:
    hosts: dict[str, str] = {}
    for event in events:
        if event.get("event") in ("runner_on_failed", "runner_on_unreachable"):
            said = f"{event.get('task')}: {_text(event)}"
            hosts.setdefault(str(event.get("host")), cut(" ".join(said.split()), 300))
    loud = [str(e.get("stdout", "")) for e in events if e.get("event") in ("error", "verbose")]
    play = next((text for text in loud if "ERROR" in text), loud[-1] if loud else "")
    return Messages(hosts=hosts, play=cut(" ".join(play.split()), 300))


def _text(event: Event) -> str:
    result = event.get("res") or {}
    for part in (result, *result.get("items", ())):
        for key in ("msg", "stderr", "stdout", "censored"):
            if text := part.get(key):
                ignored = "ignored: " if event.get("ignored") else ""
                return f"{ignored}{text}"
    return ""


def _time(text: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return datetime.now(UTC)
