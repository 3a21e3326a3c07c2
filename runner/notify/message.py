"""What a receiver is told: one message per transition, made from templates.

Every value that a template prints passes `Cleaner.line`, without the template
asking for it; `block` is the one exception, for diffs and evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from runner.incident import Purpose, State, Transition
from runner.incident_report import Bundle
from runner.incident_report.approval_request import Pack, radius_words
from runner.notify.inert import Cleaner, Own
from runner.text import cut, visible

TEMPLATES = Path(__file__).parent / "templates"
MAX_SUBJECT = 120  #: characters
MAX_BODY = 30_000  #: characters
MAX_EVIDENCE = 20  #: items
#: Labels that name the place of an alert, the best first.
_PLACES = ("instance", "host", "hostname", "node")
_PORT = re.compile(r":\d{1,5}$")


@dataclass(frozen=True, kw_only=True)
class Message:
    """One transition in words."""

    subject: str  #: the same for every transition of one incident, so that mails thread
    line: str  #: for the console
    text: str
    html: str


class Writer:
    """Makes messages; holds the compiled templates."""

    def __init__(
        self, *, mask: Callable[[str], str], environment: str, public_url: str | None
    ) -> None:
        self.clean = Cleaner(mask)
        self.environment = environment
        self.public_url = public_url.rstrip("/") if public_url else None
        self._templates = _templates(self.clean)

    def write(self, transition: Transition, bundle: Bundle | None) -> Message:
        """The message of a transition; `bundle` is None for an act such as pause."""
        values = self._values(transition, bundle)
        # The line is for a terminal: a chat's triggers mean nothing there and stay readable.
        mask, action = self.clean.mask, transition.action
        reason = mask(transition.reason)
        if bundle is None:
            subject = f"[runner] {action}"
            line = f"{action} by {transition.actor}: {reason}"
        else:
            incident, labels = bundle.incident, bundle.incident.alert.labels
            # Where the alert is, by what never changes in the life of an incident.
            named = next((labels[name] for name in _PLACES if labels.get(name)), "")
            place = ", ".join(incident.requested_hosts) or _PORT.sub("", named)
            subject = f"[runner] #{incident.id} {incident.alert.name} {place}".strip()
            where = ", ".join(incident.hosts) or place
            what = f"#{incident.id} {action}: {mask(incident.alert.name)} {where}"
            line = f"{what.strip()}: {reason}"
        return Message(
            subject=self.clean.line(subject, MAX_SUBJECT),
            line=visible(cut(line, 500)),
            text=cut(self._templates.get_template("message.txt.j2").render(values), MAX_BODY),
            html=self._templates.get_template("message.html.j2").render(values),
        )

    def _values(self, transition: Transition, bundle: Bundle | None) -> dict[str, Any]:
        """What a template may print."""
        values: dict[str, Any] = {"environment": self.environment, "transition": transition}
        if bundle is None:
            return values | {"incident": None, "link": None}
        incident, public = bundle.incident, self.public_url
        # The open question of a `waiting` message.
        open_ones = [item for item in bundle.approvals if item.answer is None]
        question = open_ones[-1] if open_ones and transition.action == State.WAITING else None
        # The newest dry run's diff: what a person approves.
        dry_runs = [run for run in bundle.runs if run.purpose is Purpose.DRY_RUN]
        # Whether the incident went further while this message waited to be sent.
        states = [row for row in bundle.transitions if row.action in list(State)]
        moved_on = bool(states) and states[-1].sequence > transition.sequence
        return values | {
            "incident": incident,
            "link": Own(f"{public}/incidents/{incident.id}") if public else None,
            "moved_on": incident.state if moved_on else None,
            "verdict": bundle.verdict,
            "radius": radius_words(bundle.radius),
            "diff": next((run.diff for run in reversed(dry_runs) if run.diff), ""),
            "approval": question,
            "pack": Pack(question=question, bundle=bundle) if question else None,
            "runs": [run for run in bundle.runs if run.purpose is not Purpose.DRY_RUN],
            "verifications": bundle.verifications,
            "escalated": transition.action == State.ESCALATED,
            "evidence": bundle.evidence[:MAX_EVIDENCE],
            "evidence_left": max(0, len(bundle.evidence) - MAX_EVIDENCE),
            "decisions": bundle.decisions,
            "considered": bundle.considered,
        }


def _templates(clean: Cleaner) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=lambda name: bool(name and ".html" in name),
        finalize=lambda value: clean.line("" if value is None else value),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.filters["block"] = clean.block
    environment.filters["brief"] = clean.line
    environment.filters["listed"] = lambda values: Own(", ".join(map(clean.line, values)))
    return environment
