"""The demo's events on a terminal, in a pipe, or as JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

import click

from runner.cli.report import short
from runner.incident import Purpose, Reason, Verdict
from runner.incident_report import to_json
from runner.incident_report.approval_request import fidelity_words
from runner.incident_report.screen import STYLES, Screen
from runner.text import brief, visible
from runner_demo.story import Event

DIFF_LINES = 24
_NAME = 13  #: characters of the column of names
_WIDEST = 100
#: Tasks that are shown one by one; of the others only what they change.
_RUNS = (Purpose.REMEDIATION, Purpose.UNDO)
_TASKS = {"ok": "", "changed": "bold green"}
#: Event → what the runner does next, for the line that moves.
_NEXT = {
    "broken": "the watches look at every node once a second",
    "located": "reading the host",
    "verdict": "dry run under way",
    "answer": "looking once more before the run",
    "run": "Ansible runs",
    "outcome": "waiting for the alert to clear",
    "cleared": "it must stay well for a while",
}


class Show(Protocol):
    """Who is told of what happens."""

    def tell(self, event: Event) -> None:
        """Show one event."""

    def close(self) -> None:
        """Nothing more comes."""


class JsonLines:
    """One line of JSON for each event."""

    def tell(self, event: Event) -> None:
        """Show one event."""
        line = {"event": event.kind, "at": event.at.isoformat()} | to_json(dict(event.data))
        click.echo(json.dumps(line))

    def close(self) -> None:
        """Nothing more comes."""


class Words:
    """For people: sections with the time since the fault, wrapped on a terminal only."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._since: datetime | None = None
        self._named: str | None = None
        self._skipped = 0
        self._status: Any = None
        self._tellers: Mapping[str, Callable[[Event], None]] = {
            name.removeprefix("_on_"): getattr(self, name)
            for name in dir(self)
            if name.startswith("_on_")
        }

    def tell(self, event: Event) -> None:
        """Show one event."""
        if event.kind == "question":
            self._rest()
        self._tellers[event.kind](event)
        if event.kind in _NEXT:
            self._doing(_NEXT[event.kind])
        elif event.kind == "end":
            self._rest()

    def close(self) -> None:
        """Nothing more comes."""
        self._rest()

    def _doing(self, text: str) -> None:
        if not self._screen.terminal:
            return
        said = brief(text, max(10, self._width - 8)).replace("[", r"\[")
        if self._status is None:
            self._status = self._screen.console.status(said, refresh_per_second=6)
            self._status.start()
        else:
            self._status.update(said)

    def _rest(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    @property
    def _width(self) -> int:
        return min(self._screen.console.width, _WIDEST)

    @property
    def _room(self) -> int:
        """Characters beside the column of names."""
        return self._width - _NAME - 3 if self._screen.terminal else 400

    def _section(self, title: str, event: Event | None = None, style: str = "") -> None:
        after = self._after(event.at) if event is not None else ""
        self._named = None
        self._screen.write("")
        if not self._screen.terminal:
            self._screen.line(f"== {title}" + (f", after {after}" if after else ""))
            return
        from rich.text import Text

        title = brief(title, self._width - 14)
        dashes = "─" * max(2, self._width - len(title) - len(after) - 2)
        parts = [(title, f"bold {style}".strip()), (f" {dashes} {after}", "dim")]
        self._screen.console.print(Text.assemble(*parts), soft_wrap=True)

    def _after(self, at: datetime) -> str:
        return f"{(at - self._since).total_seconds():.1f}s" if self._since else ""

    def _pair(self, name: str, text: str, style: str = "") -> None:
        """A named line; the name is left out where the line before has it already."""
        shown = "" if name == self._named else name
        self._named = name
        self._line(f"  {shown:<{_NAME}} ", text, style)

    def _line(self, lead: str, text: str, style: str = "") -> None:
        text = visible(text)
        if not self._screen.terminal:
            self._screen.write((lead + text).rstrip())
            return
        for number, part in enumerate(wrapped(text, max(20, self._width - len(lead)))):
            self._screen.write((lead if number == 0 else " " * len(lead)) + part, style)

    def _on_fleet(self, event: Event) -> None:
        data = event.data
        self._section("A fleet on this machine, without root")
        for node in data["nodes"]:
            self._pair(node["name"], f"{node['url']}  supervisord, app {node['release']}")
        self._pair("runner", f"{data['web']}  webhook, dashboard, worker, watches")
        self._pair("project", data["folder"])
        self._pair("level", f"{data['level']}: {_LEVELS[data['level']]}")
        self._pair("note", data["note"], "dim")
        if data["model"]:
            self._pair("model", data["model"], "yellow")

    def _on_cluster(self, event: Event) -> None:
        data = event.data
        self._section("An etcd cluster on this machine, without root")
        for node in data["nodes"]:
            self._pair(node["name"], f"{node['url']}  {node['role']}")
        self._pair("client", "writes all the time, and remembers what was acknowledged")
        self._pair("runner", f"{data['web']}  dashboard, worker, watches")
        self._pair("project", data["folder"])
        self._pair("level", f"{data['level']}: {_LEVELS[data['level']]}")
        self._pair("note", data["note"], "dim")

    def _on_step(self, event: Event) -> None:
        self._pair("step", event.data["reason"])

    def _on_broken(self, event: Event) -> None:
        self._since = event.at
        data = event.data
        self._section(f"The fault: {data['title']}", style="red")
        self._pair(data["host"], f"{data['done']}")
        self._pair("it answers", data["answer"], "red")

    def _on_alert(self, event: Event) -> None:
        alert = event.data["alert"]
        self._section(f"Alert {alert.name}", event)
        seen = alert.annotations.get("seen") or alert.annotations.get("description", "")
        self._pair("source", f"a {alert.source}: {seen}")
        labels = {name: value for name, value in alert.labels.items() if name != "alertname"}
        self._pair("labels", " ".join(f"{k}={brief(v)}" for k, v in sorted(labels.items())))

    def _on_admitted(self, event: Event) -> None:
        self._pair("incident", f"{event.data['incident']} is opened: {event.data['reason']}")

    def _on_located(self, event: Event) -> None:
        self._pair("host", f"{', '.join(event.data['hosts'])}: {event.data['reason']}")

    def _on_evidence(self, event: Event) -> None:
        self._section("Evidence", event)
        for item in event.data["items"]:
            self._pair(f"[{item.number}] {item.kind}"[:_NAME], f"{item.title} ({item.source})")

    def _on_decision(self, event: Event) -> None:
        decision = event.data["decision"]
        self._section(f"Decision: {decision.entry or 'no entry'}", event)
        self._pair(decision.decider, decision.reason)
        for entry, why in decision.alternatives:
            self._pair("not", f"{entry}: {why}")

    def _on_verdict(self, event: Event) -> None:
        verdict = event.data["verdict"]
        self._section(f"Verdict: {verdict.level}", event, STYLES.get(verdict.level, ""))
        for reason in verdict.reasons:
            self._reason(verdict, reason)

    def _reason(self, verdict: Verdict, reason: Reason) -> None:
        limits = reason.level is verdict.level
        text = f"{reason.rule}: {reason.text}"
        self._line(f"  {reason.level:<{_NAME}} ", text, "" if limits else "dim")

    def _on_dry_run(self, event: Event) -> None:
        run = event.data["run"]
        if run is None:
            self._section("Dry run: none", event)
            return
        self._section(f"Dry run: {run.outcome}", event)
        self._screen.diff(run.diff, "  ", DIFF_LINES)
        self._pair("fidelity", fidelity_words(run))
        self._pair("plan", event.data["plan"].hash)
        verdict = event.data["verdict"]
        for reason in verdict.limiting:
            if reason.rule in ("dry_run", "fidelity"):
                self._reason(verdict, reason)

    def _on_question(self, event: Event) -> None:
        approval, plan = event.data["approval"], event.data["plan"]
        self._section(f"Question {approval.id} to a person", event, "yellow")
        self._pair("run", f"{plan.entry} on {', '.join(plan.hosts)}?")
        self._pair("plan", plan.hash)
        left = short(approval.expires_at - approval.requested_at)
        self._pair("expires", f"in {left}; evidence, diff and fidelity are above")

    def _on_elsewhere(self, event: Event) -> None:
        self._screen.line("  it can be answered elsewhere too:", "dim")
        for text in event.data["ways"]:
            self._screen.line(f"    {text}", "dim")

    def _on_answer(self, event: Event) -> None:
        self._pair("approval", event.data["reason"])

    def _on_run(self, event: Event) -> None:
        title = f"Run: {event.data['entry']} on {', '.join(event.data['hosts'])}"
        if event.data["steps"]:
            title = f"Run: {event.data['reason']}"
        self._section(title, event)
        self._skipped = 0

    def _on_task(self, event: Event) -> None:
        task, purpose = event.data["task"], event.data["purpose"]
        self._doing(f"{purpose}: {task.task}")
        if purpose not in _RUNS:
            return
        if task.status == "skipped":
            self._skipped += 1
            return
        style = _TASKS.get(task.status, "red")
        # Its role is the same for every line, and the first one names the whole spec.
        name = brief(task.task.rpartition(" : ")[2], self._room)
        self._line(f"  {task.status:<{_NAME}} ", name, style)
        if task.status in ("failed", "unreachable"):
            self._line(" " * (_NAME + 3), task.text, style)

    def _on_outcome(self, event: Event) -> None:
        skipped = f"; {self._skipped} tasks were skipped" if self._skipped else ""
        self._pair("outcome", event.data["reason"] + skipped)
        self._section("Verification", event)
        self._pair("checks", "they must hold, all at once and for a while")

    def _on_undo(self, event: Event) -> None:
        self._section("Undo", event)

    def _on_cleared(self, event: Event) -> None:
        after = self._after(event.at)
        self._pair("cleared", f"after {after} the watch no longer sees {event.data['alert']}")

    def _on_verification(self, event: Event) -> None:
        found = event.data["verification"]
        for check in found.checks:
            text = f"{check.kind} {check.target}: {check.result}, {check.seen}"
            self._pair("check", text, STYLES.get(check.result, ""))
        self._pair("result", found.reason)

    def _on_end(self, event: Event) -> None:
        state = event.data["state"]
        self._section(f"Incident {event.data['incident']}: {state}", event, STYLES.get(state, ""))
        self._pair("because", event.data["reason"])

    def _on_node(self, event: Event) -> None:
        self._pair(event.data["host"], event.data["answer"])

    def _on_bundle(self, event: Event) -> None:
        self._section("What the person is sent")
        for line in event.data["text"].splitlines():
            indent = len(line) - len(line.lstrip())
            self._line("  " + line[:indent], line[indent:])

    def _on_timeline(self, event: Event) -> None:
        self._section("Timeline")
        for row in event.data["rows"]:
            took = duration_of(row["seconds"])
            lead = f"  {row['after']:>6.1f}s {took:>7}  {row['action']:<9}  "
            room = self._width - len(lead) if self._screen.terminal else 400
            self._line(lead, brief(row["reason"], room), STYLES.get(row["action"], ""))

    def _on_further(self, event: Event) -> None:
        self._section("To look further")
        for text in event.data["lines"]:
            # Whole, even where it is too long: it is there to be copied.
            self._screen.line(f"  {text}")

    def _on_kept(self, event: Event) -> None:
        self._section("The fleet and the runner go on")
        self._pair("dashboard", event.data["web"])
        self._pair("end it", "with Ctrl-C")

    def _on_note(self, event: Event) -> None:
        self._rest()
        self._screen.line(event.data["text"])


def wrapped(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width`, broken at spaces and after `|`, else anywhere."""
    lines = [""]
    for piece in re.findall(r"[^\s|]*\|?\s*", text):
        if len(lines[-1]) + len(piece.rstrip()) > width and lines[-1]:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1].rstrip()) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return [line.rstrip() for line in lines]


def duration_of(seconds: float | None) -> str:
    """How long a state lasted; nothing for the last one."""
    return "" if seconds is None else f"+{seconds:.1f}s"


_LEVELS = {
    "observe": "decides and records",
    "dry-run": "decides, and does a dry run",
    "approve": "dry run, then asks you before the run",
    "auto": "dry run, run, verification",
}
