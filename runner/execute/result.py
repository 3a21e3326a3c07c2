"""From what a run left behind to its RunResult.

Hosts write what a run prints and changes, as much of it as they like. So it is read by
the run's supervisor, or by a process like it, within limits of memory and time: `summarize`
leaves `summary.json`, which is masked and bounded. The runner's own process reads that
and the ending, and never the texts themselves; `finish` gives the same result each time.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from runner.catalog.entry import Effect
from runner.execute import diff, rehearsal
from runner.execute.events import Event, cut, read_lines
from runner.execute.outcome import Ending, Messages, judge
from runner.execute.request import RunResult, TaskEvent
from runner.incident import Fidelity, Outcome, Shown, TaskFidelity
from runner.private import write_whole
from runner.vault import MASKED

Mask = Callable[[str], str]

MAX_TASKS = 2_000  # task events in a result
MAX_FACTS = 16_000_000  # bytes read of the callback's task facts
_LINES = 64_000  # characters of a list of lines that are masked as one text
UNREAD = "what it printed and changed could not be read within the limits of memory and time for it"
_STATUS = {
    "runner_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_on_skipped": "skipped",
    "runner_on_unreachable": "unreachable",
}


def summarize(spec: Mapping[str, Any], mask: Mask) -> None:
    """Read what the run left in its private folder, and keep what is needed of it.

    Everything kept is masked; the events were already, when they were written. `spec` has the
    folders, whether it was a dry run, and what the entry says of it: its `effects` and `reads`.
    """
    folder, private = Path(spec["folder"]), Path(spec["private"])
    if (private / "events.jsonl").exists():
        (folder / "events.jsonl").touch(mode=0o600)  # before there is anything in it to read
        shutil.copyfile(private / "events.jsonl", folder / "events.jsonl")
    if (private / "facts.jsonl").exists():
        facts = read_lines(private / "facts.jsonl", most=MAX_FACTS)
        lines = (json.dumps(fact | masked(_said(fact), mask)) for fact in facts)
        write_whole(folder / "facts.jsonl", "".join(f"{line}\n" for line in lines).encode())
    events = list(read_lines(folder / "events.jsonl"))
    known = list(read_lines(folder / "facts.jsonl"))
    whole, fidelity = rehearsal.diff_of(events, known), Fidelity()
    if spec["check"]:
        effects = [Effect.model_validate(effect) for effect in spec["effects"]]
        whole, fidelity = rehearsal.seen_in(events, known, effects, spec["reads"])
    failed = [e for e in events if e.get("event") in ("runner_on_failed", "runner_on_unreachable")]
    hosts: dict[str, str] = {}  # what the first failure of each said, an ignored one last
    for event in sorted(failed, key=lambda event: bool(event.get("ignored"))):
        said = f"{event.get('task')}: {_text(event)}"
        hosts.setdefault(str(event.get("host")), cut(" ".join(said.split()), 300))
    loud = [str(e.get("stdout", "")) for e in events if e.get("event") in ("error", "verbose")]
    play = next((text for text in loud if "ERROR" in text), loud[-1] if loud else "")
    summary = {
        "messages": {"hosts": hosts, "play": cut(" ".join(play.split()), 300)},
        "diff": cut(whole, rehearsal.MAX_DIFF),
        "diff_hash": diff.hash_of(whole),
        "fidelity": [asdict(task) for task in fidelity.tasks],
        "included": sorted({(fact["file"], fact["what"]) for fact in known if "what" in fact}),
        "results": next((event["results"] for event in events if event.get("results")), {}),
        "hosts": sorted({str(event["host"]) for event in events if "host" in event}),
        "tasks": [
            asdict(e) | {"at": e.at.isoformat(), "duration": e.duration.total_seconds()}
            for e in map(task_event, events)
            if e
        ][:MAX_TASKS],
    }
    write_whole(folder / "summary.json", json.dumps(summary).encode())


def finish(folder: Path, intent: Mapping[str, Any], mask: Mask, stopped: str | None) -> RunResult:
    """The result of a run that has ended and was summarized, if it could be.

    `folder` is the run's own; `stopped` says why we ended a run that left no ending.
    """
    summary: Mapping[str, Any] = next(read_lines(folder / "summary.json"), {})
    check = bool(intent["check"])
    if record := next(read_lines(folder / "ending.json"), None):
        ending = Ending.parse(record)
    else:
        error = "" if stopped else "the run's supervisor went away and left no ending"
        seen = frozenset(summary.get("hosts", ()))
        ending = Ending(stopped=stopped, error=error, hosts_seen=seen)
    said = Messages(**summary.get("messages", {}))
    outcome, reason = judge(
        ending,
        hosts=intent["hosts"],
        allowed=intent["allowed"],
        left_out=intent.get("left_out", ()),
        messages=said,
    )
    if not summary and check and outcome.completed:
        outcome, reason = Outcome.FAILED, f"{UNREAD}, so nothing is known of what it would change"
    elif not summary:  # a run did what it did
        reason += f"; {UNREAD}"
    kept = [{**task, "kind": Shown(task["kind"])} for task in summary.get("fidelity", ())]
    fidelity = Fidelity(tasks=tuple(TaskFidelity(**task) for task in kept))
    if check and outcome.completed:
        reason += rehearsal.summary(fidelity)
    tasks = [
        {**task, "at": _time(task["at"]), "duration": timedelta(seconds=task["duration"])}
        for task in summary.get("tasks", ())
    ]
    result = RunResult(
        id=intent["id"],
        outcome=outcome,
        reason=mask(reason),
        started_at=_time(intent["started_at"]),
        ended_at=ending.ended_at or datetime.now(UTC),
        artifacts=folder,
        stats=ending.stats or {},
        results=summary.get("results", {}),
        diff=summary.get("diff", f"({UNREAD})"),
        diff_hash=summary.get("diff_hash", ""),
        fidelity=fidelity,
        hosts_seen=ending.hosts_seen,
        loaded=ending.loaded if check else {},
        included=frozenset((file, what) for file, what in summary.get("included", ())),
        tasks=tuple(TaskEvent(**task) for task in tasks),
    )
    for own in filter(None, (intent["private"], intent.get("snapshot"))):
        shutil.rmtree(own, ignore_errors=True)
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
    """`value` with `mask` over every text in it; what a name says is secret is withheld whole."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list):
        if value and all(isinstance(item, str) for item in value):
            whole = "\n".join(value)  # lines of a text: a secret may have several
            if len(whole) < _LINES:
                return mask(whole).split("\n")
        return [masked(item, mask) for item in value]
    if isinstance(value, dict):
        hides = getattr(mask, "hides", lambda key, value: False)
        return {
            key: MASKED if hides(key, item) else masked(item, mask) for key, item in value.items()
        }
    return value


def mask_event(event: Event, mask: Mask) -> Event:
    """The event with what hosts and tasks said masked; names and ids stay as they are."""
    return event | dict(masked(_said(event), mask))


def _said(event: Mapping[str, Any]) -> dict[str, Any]:
    said = ("stdout", "res", "results", "task", "delegate")
    return {key: event[key] for key in said if key in event}


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
