from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sqlalchemy as sa

from runner import incident_report
from runner.incident import BlastRadius, Brief, Decision, GroupReach, Record, State
from runner.notify.inert import BREAK
from runner.notify.message import Message, Writer
from runner.store import audit_log, incidents, records, switches, tables
from tests.notify_incident import LABELS, NOW, ask, database, dry_run, escalate, opened

WRITER = Writer(mask=lambda t: t.replace("hunter2", "***"), environment="lab", public_url=None)


@pytest.fixture
def tx(tmp_path: Path) -> Iterator[sa.Connection]:
    store = database(tmp_path)
    with store.write() as connection:
        yield connection
    store.close()


def last(tx: sa.Connection, incident: int, writer: Writer = WRITER) -> Message:
    """The message of the incident's newest transition."""
    transition = audit_log.of_incident(tx, incident)[-1]
    return writer.write(transition, incident_report.load(tx, incident))


def test_a_question_names_the_diff_the_reasons_and_the_command(tx: sa.Connection) -> None:
    incident = opened(tx)
    approval = ask(tx, incident)
    text = last(tx, incident).text
    assert f"runner approval approve {approval}\n" in text
    assert "+state: started" in text
    assert "cooldown, limit approve: web1 was restarted 3m ago" in text
    assert "2026-03-01 12:30:00 UTC; the plan is abcdef012345." in text


def test_a_question_carries_the_approval_pack(tx: sa.Connection) -> None:
    """Invariant 5: also where an entry or the inventory would call a channel together."""
    incident = opened(tx)
    evil = "@channel <b>x</b>"
    reach = GroupReach(group=evil, size=3, touched=("web1",), staying=("web2", "web3"), needed=2)
    records.put_radius(tx, incident, BlastRadius(hosts=("web1",), groups=(reach,), domains=("r2",)))
    records.put_decision(
        tx,
        incident,
        Decision(
            decider="rules",
            entry="service_restart",
            reason="the unit is down",
            alternatives=(("disk_space", "the disk is not full"),),
        ),
    )
    tx.execute(tables.incidents.update().values(part="unit nginx.service"))
    brief = Brief(
        title=evil, description="x", risk="low", dry_run="required", undo="undo_it",
        approvers=("dora",), record=Record(fixed=3, not_fixed=1),
    )  # fmt: skip
    ask(tx, incident, brief)
    message = last(tx, incident)
    for body in (message.text, message.html):
        for part in (
            "Part: unit nginx.service", "of 3 in ", "failure domain r2, leaves 2, needs 2",
            "Undo: undo_it",
            "fixed 3 of 4 earlier runs for this alert (75%), 1 not fixed", "the unit is down",
            "not disk_space: the disk is not full", "Fidelity: no change reported", "dora",
            "runner approval show 1", "+state: started",
        ):  # fmt: skip
            assert part in body, part
        assert "@channel" not in body
    assert "<b>" not in message.html


def test_an_answered_question_offers_no_command(tx: sa.Connection) -> None:
    incident = opened(tx)
    ask(tx, incident)
    waiting = audit_log.of_incident(tx, incident)[-1]
    tx.execute(sa.text("update approvals set answer = 'denied'"))
    incidents.move(tx, incident, State.DENIED, "not now", actor="user:ann")
    text = WRITER.write(waiting, incident_report.load(tx, incident)).text
    assert "runner approval" not in text
    assert "It is now denied: not now" in text


def test_an_escalation_carries_the_bundle(tx: sa.Connection) -> None:
    incident = opened(tx)
    escalate(tx, incident)
    message = last(tx, incident)
    for body in (message.text, message.html):
        for part in ("exit code 137", "the unit is down", "not disk_space: the disk is not full",
                     "remediation 1, service_restart on web1", "still down after 5m",
                     "saw 0", "Last lines", "journal of web1"):  # fmt: skip
            assert part in body


def test_a_link_leads_to_the_incident(tx: sa.Connection) -> None:
    writer = Writer(mask=str, environment="lab", public_url="https://runner.example/x/")
    incident = opened(tx)
    message = last(tx, incident, writer)
    assert f"https://runner.example/x/incidents/{incident}" in message.text.splitlines()
    assert f'<a href="https://runner.example/x/incidents/{incident}">' in message.html


def test_one_incident_has_one_subject(tx: sa.Connection) -> None:
    incident = opened(tx)
    subjects = {last(tx, incident).subject}
    ask(tx, incident)
    subjects.add(last(tx, incident).subject)
    escalate(tx, incident)
    subjects.add(last(tx, incident).subject)
    assert subjects == {f"[runner] #{incident} ServiceDown web1"}


def test_a_subject_is_one_line_whatever_the_label_says(tx: sa.Connection) -> None:
    """Invariant 5: a newline in a label does not begin a mail header."""
    incident = opened(tx, {"alertname": "A\r\nBcc: all@evil.example", "instance": "w" * 500})
    subject = last(tx, incident).subject
    assert r"A\r\nBcc: all@" in subject
    assert subject.replace(BREAK, "").isprintable()
    assert len(subject) < 130


HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=y>\"'><a href='javascript:x'>{{ 7*7 }}"


class Tags(HTMLParser):
    """Collects the elements and attributes of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(name for name, _ in attrs)}


def test_html_from_outside_is_text(tx: sa.Connection) -> None:
    """Invariant 5: nothing from outside becomes an element, an attribute or a template."""
    labels = {**LABELS, "alertname": HOSTILE, "severity": HOSTILE}
    incident = opened(tx, labels, {"summary": HOSTILE})
    dry_run(tx, incident, diff=HOSTILE)
    escalate(tx, incident, evidence=HOSTILE)
    html = last(tx, incident).html
    allowed = {"html", "lang", "body", "p", "strong", "br", "ul", "li", "pre"}
    assert Tags(html).seen <= allowed
    assert "{{ 7*7 }}" in html


def test_secrets_are_masked_everywhere(tx: sa.Connection) -> None:
    """Invariant 13: what the mask knows reaches no receiver."""
    incident = opened(tx, {**LABELS, "alertname": "hunter2"}, {"summary": "hunter2"})
    dry_run(tx, incident, diff="+password: hunter2")
    escalate(tx, incident, evidence="login hunter2")
    incidents.move(tx, incident, State.ESCALATED, "hunter2", expected={State.ESCALATED})
    message = last(tx, incident)
    assert "hunter2" not in f"{message.subject}{message.line}{message.text}{message.html}"


def test_a_message_is_bounded(tx: sa.Connection) -> None:
    """Invariant 14: a huge diff does not make a huge message."""
    incident = opened(tx, {**LABELS, "x": "y" * 100_000}, {"summary": "s" * 100_000})
    dry_run(tx, incident, diff="+x\n" * 100_000)
    escalate(tx, incident, evidence="e" * 1_000_000)
    message = last(tx, incident)
    assert len(message.text) < 10_000
    assert len(message.html) < 10_000
    assert "more lines" in message.text


def test_an_act_without_an_incident_has_a_message(tx: sa.Connection) -> None:
    switches.pause(tx, actor="user:ann", reason="storage move")
    message = WRITER.write(audit_log.after(tx, 0)[-1], None)
    assert message.subject == "[runner] pause"
    assert "pause by user:ann: storage move" in message.text
    assert message.line == "pause by user:ann: storage move"


def test_the_consoles_line_is_harmless_on_a_terminal(tx: sa.Connection) -> None:
    incident = opened(tx, {**LABELS, "alertname": "\x1b]0;x\x07\u202eA@b"})
    line = last(tx, incident).line
    assert line == rf"#{incident} admitted: \x1b]0;x\x07\u202eA@b web1: first seen"


def test_every_state_can_be_written(tx: sa.Connection) -> None:
    incident = opened(tx)
    for state in State:
        incidents.move(tx, incident, state, f"because {NOW}", expected=tuple(State))
        assert f"Incident {incident}, {state}: because" in last(tx, incident).text
