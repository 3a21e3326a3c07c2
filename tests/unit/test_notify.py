from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from runner import config
from runner.errors import ConfigError, RemoteError
from runner.incident import State
from runner.notify import Notifier
from runner.notify.inert import BREAK
from runner.notify.message import Message
from runner.notify.notifier import LONGEST_WAIT, wait_after
from runner.notify.receiver import Send
from runner.store import audit_log, incidents, switches
from runner.store.database import Database
from runner.store.tables import outbox
from tests.notify_incident import LABELS, NOW, ask, database, escalate, opened
from tests.notify_servers import Mailbox, Web, smtp, web

SECRET = "s3cr3tpath"

# apprise's mail module imports pgpy, or stands in for it, with a module that Python 3.13 drops.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    made = database(tmp_path)
    yield made
    made.close()


@pytest.fixture
def site() -> Iterator[Web]:
    with web() as made:
        yield made


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with smtp() as made:
        yield made


def receiver(name: str, url: str, **more: Any) -> config.Receiver:
    return config.Receiver(name=name, url=url, **more)


def notifier(store: Database, *receivers: config.Receiver, **more: Any) -> Notifier:
    """A notifier of these receivers, without a console."""
    keys = {key: more.pop(key) for key in ("retries", "console", "public_url") if key in more}
    notify = config.Notify(**({"console": False} | keys), receivers=receivers)
    return Notifier(notify, store, "lab", mask=str, **more)


def waiting(store: Database, **more: Any) -> int:
    """An incident that waits for a person."""
    with store.write() as tx:
        incident = opened(tx, **more)
        ask(tx, incident)
    return incident


def rows(store: Database) -> list[sa.Row[Any]]:
    with store.read() as tx:
        return list(tx.execute(sa.select(outbox).order_by(outbox.c.id)))


def refusing(*, permanent: bool) -> Send:
    def send(message: Message) -> None:
        raise RemoteError("receiver chat: it is closed", permanent=permanent)

    return send


CHAT = receiver("chat", "json://127.0.0.1:9")


def test_a_receiver_is_told_once_of_what_it_asked_for(store: Database, site: Web) -> None:
    told = notifier(store, receiver("chat", f"json://{site.address}/{SECRET}"))
    incident = waiting(store)
    assert told.step(NOW) == 1
    assert told.step(NOW) == 0
    assert [body["title"] for body in site.bodies] == [f"[runner] #{incident} ServiceDown web1"]
    assert "runner approval approve" in site.bodies[0]["message"]
    assert rows(store)[0].sent_at == NOW


def test_receivers_follow_a_plan_step_by_step(store: Database, site: Web) -> None:
    """Unless they say otherwise: a replacement takes its time, and people wait for it."""
    told = notifier(store, receiver("chat", f"json://{site.address}"))
    incident = waiting(store)
    told.step(NOW)
    site.bodies.clear()
    for action in ("step", "left_out"):
        with store.write() as tx:
            audit_log.append(
                tx,
                incident=incident,
                action=action,
                reason=f"{action} 1 of 3, add_storage_node on s4",
                at=NOW,
            )
        assert told.step(NOW) == 1
        (body,) = site.bodies
        assert body["title"] == f"[runner] #{incident} ServiceDown web1"
        assert f"{action} 1 of 3, add_storage_node on s4" in body["message"]
        site.bodies.clear()


def test_the_console_has_one_line_per_transition(
    store: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    told = notifier(store, console=True)
    incident = waiting(store)
    with store.write() as tx:
        switches.pause(tx, actor="user:ann", reason="storage move")
    assert told.step(NOW) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"#{incident} waiting: ServiceDown web1: a person has to agree",
        "pause by user:ann: storage move",
    ]


def test_labels_cannot_mention_anybody_in_a_chat(store: Database, site: Web) -> None:
    """Invariant 5: what a label says arrives, without power."""
    told = notifier(store, receiver("chat", f"json://{site.address}"))
    waiting(store, labels={**LABELS, "alertname": "<!here> @channel [a](https://evil.example)"})
    told.step(NOW)
    body = site.bodies[0]["title"] + site.bodies[0]["message"]
    assert not any(
        bad in body for bad in ("<!here>", "@channel", "](", "evil.example)]", "https://")
    )
    assert "<!here> @channel [a](https://evil.example)" in body.replace(BREAK, "")


def test_a_mail_has_html_and_text(store: Database, mailbox: Mailbox) -> None:
    to = f"mailto://{mailbox.address}/oncall@example.com?from=runner@example.com"
    told = notifier(store, receiver("mail", to, format="html"), public_url="https://r.example")
    incident = waiting(store)
    assert told.step(NOW) == 1
    mail = mailbox.mails[0]
    assert mail.get_content_type() == "multipart/alternative"
    text, html = (part.get_content() for part in mail.iter_parts())
    assert "<strong>waiting</strong>" in html
    for body in (text, html):
        assert "+state: started" in body
        assert "runner approval approve" in body
        assert f"https://r.example/incidents/{incident}" in body


def test_mails_of_one_incident_have_one_subject(store: Database, mailbox: Mailbox) -> None:
    to = f"mailto://{mailbox.address}/oncall@example.com?from=runner@example.com"
    told = notifier(store, receiver("mail", to))
    incident = waiting(store)
    told.step(NOW)
    with store.write() as tx:
        escalate(tx, incident)
    told.step(NOW)
    subject = f"[runner] #{incident} ServiceDown web1"
    assert [mail["Subject"] for mail in mailbox.mails] == [subject, subject]
    assert {mail.get_content_type() for mail in mailbox.mails} == {"text/plain"}


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\u2028", "\x0b"])
def test_a_label_cannot_add_a_mail_header(store: Database, mailbox: Mailbox, newline: str) -> None:
    """Invariant 5: a newline in the alert's name stays in the subject, written out."""
    to = f"mailto://{mailbox.address}/oncall@example.com?from=runner@example.com"
    told = notifier(store, receiver("mail", to))
    waiting(store, labels={**LABELS, "alertname": f"A{newline}Bcc: all@evil.example{newline * 2}x"})
    assert told.step(NOW) == 1
    mail = mailbox.mails[0]
    assert mail["Bcc"] is None
    assert mail["To"] == "oncall@example.com"
    assert "Bcc: all@" in mail["Subject"]


def test_a_failure_is_tried_again_later_and_later(store: Database, site: Web) -> None:
    told = notifier(store, receiver("chat", f"json://{site.address}"))
    waiting(store)
    site.status = 503
    assert told.step(NOW) == 0
    assert rows(store)[0].due_at == NOW + timedelta(seconds=30)
    assert told.step(NOW + timedelta(seconds=29)) == 0
    assert len(site.bodies) == 1
    told.step(NOW + timedelta(seconds=30))
    assert rows(store)[0].due_at == NOW + timedelta(seconds=90)
    site.status = 200
    assert told.step(NOW + timedelta(seconds=90)) == 1


def test_it_gives_up_after_the_retries_and_says_so_once(
    store: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Invariant 14: a message is not tried for ever."""
    told = notifier(store, CHAT, retries=2, senders={"chat": refusing(permanent=False)})
    waiting(store)
    with caplog.at_level(logging.INFO):
        for hour in range(6):
            told.step(NOW + timedelta(hours=hour))
    assert rows(store)[0].attempts == 3
    assert rows(store)[0].failed == "receiver chat: it is closed"
    assert len(caplog.records) == 1
    assert "given up" in caplog.text


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422, 429, 500, 503])
def test_a_receiver_that_refuses_once_still_gets_its_message(
    store: Database, site: Web, status: int
) -> None:
    """A proxy that was being deployed answered 404 once, and the message was lost for good."""
    told = notifier(store, receiver("chat", f"json://{site.address}/{SECRET}"))
    waiting(store)
    site.status = status
    assert told.step(NOW) == 0
    site.status = 200
    assert told.step(NOW + timedelta(seconds=29)) == 0
    assert told.step(NOW + timedelta(seconds=30)) == 1
    assert len(site.bodies) == 2 and rows(store)[0].sent_at is not None


def test_a_receiver_that_refuses_for_hours_is_given_up_where_people_see_it(
    store: Database, site: Web, caplog: pytest.LogCaptureFixture
) -> None:
    """Invariant 14: the tries have an end, and it stands in the incident's own record."""
    told = notifier(store, receiver("chat", f"json://{site.address}/{SECRET}"))
    number = waiting(store)
    site.status = 404
    now, tries = NOW, 0
    while tries < 20:
        told.step(now)
        tries += 1
        if rows(store)[0].failed is not None:
            break
        now = rows(store)[0].due_at
    assert tries == 11 and timedelta(hours=3) < now - NOW < timedelta(hours=6)
    assert rows(store)[0].failed.endswith("was refused with HTTP status 404")
    with store.read() as tx:
        last = audit_log.of_incident(tx, number)[-1]
    assert (last.action, last.actor) == ("not_told", "runner")
    assert last.reason == (
        "chat did not deliver waiting: receiver chat: the message was refused with HTTP status 404"
    )
    assert "given up" in caplog.text and SECRET not in caplog.text
    site.status = 200
    told.step(now + timedelta(days=1))
    assert len(site.bodies) == 11


def test_what_could_not_be_told_is_not_told_in_a_circle(store: Database) -> None:
    """Invariant 14: a receiver that is told of lost messages may lose that one, too."""
    closed = {"chat": refusing(permanent=False)}
    told = notifier(
        store, receiver("chat", "json://127.0.0.1:9", on=("waiting", "not_told")),
        retries=0, senders=closed,
    )  # fmt: skip
    waiting(store)
    for day in range(5):
        told.step(NOW + timedelta(days=day))
    assert [row.failed is not None for row in rows(store)] == [True, True]


@pytest.mark.parametrize("url", [f"nosuch://{SECRET}", f"slack://{SECRET}", f"{SECRET}", "json://"])
def test_a_url_that_apprise_does_not_know_is_tried_again_until_a_person_mends_it(
    store: Database, url: str
) -> None:
    told = notifier(store, receiver("chat", url), retries=1)
    waiting(store)
    told.step(NOW)
    assert rows(store)[0].failed is None
    told.step(NOW + timedelta(seconds=30))
    assert "not one that apprise can use" in rows(store)[0].failed


@pytest.mark.parametrize("url", ["json://user:{}@127.0.0.1:1/{}", "nosuch://{}", "discord://{}/x"])
def test_a_failure_never_tells_the_url(
    store: Database, url: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Invariant 13: an apprise URL holds a password; only the receiver's name is told."""
    told = notifier(store, receiver("chat", url.format(SECRET, SECRET)), retries=0)
    waiting(store)
    with caplog.at_level(logging.DEBUG):
        told.step(NOW)
    out = capfd.readouterr()
    assert SECRET not in caplog.text + out.out + out.err + str(rows(store))
    assert "chat" in rows(store)[0].failed


def test_a_success_never_tells_the_url(
    store: Database, site: Web, caplog: pytest.LogCaptureFixture
) -> None:
    """Invariant 13: nor does the log of what went well, at any level."""
    told = notifier(store, receiver("chat", f"json://user:{SECRET}@{site.address}/{SECRET}"))
    waiting(store)
    with caplog.at_level(logging.NOTSET):
        assert told.step(NOW) == 1
    assert SECRET not in caplog.text


def test_a_secret_file_that_is_gone_is_tried_again(store: Database, tmp_path: Path) -> None:
    missing = config.Receiver(name="chat", url_file=tmp_path / "nothing")
    told = notifier(store, missing)
    waiting(store)
    told.step(NOW)
    assert rows(store)[0].failed is None


def test_a_receiver_that_hangs_does_not_hold_up_the_others(store: Database) -> None:
    """Invariant 14: every send has a deadline, and a hanging one holds one thread only."""
    release = threading.Event()
    sent: list[Message] = []
    told = notifier(
        store, receiver("stuck", "json://127.0.0.1:9"), CHAT,
        senders={"stuck": lambda message: release.wait(30) and None, "chat": sent.append},
        patience=timedelta(seconds=0.5),
    )  # fmt: skip
    waiting(store)
    assert told.step(NOW) == 1
    assert [row.sent_at is not None for row in rows(store)] == [False, True]
    assert told.step(NOW + timedelta(minutes=1)) == 0
    assert rows(store)[0].attempts == 2
    threads = [thread for thread in threading.enumerate() if thread.name == "notify-stuck"]
    assert len(threads) == 1
    release.set()
    threads[0].join()
    assert told.step(NOW + timedelta(hours=2)) == 1


def test_a_receiver_that_goes_away_gets_nothing(store: Database) -> None:
    waiting(store)
    before = notifier(store, CHAT, senders={"chat": refusing(permanent=False)})
    before.step(NOW)
    notifier(store).step(NOW + timedelta(hours=1))
    assert "no longer in runner.yml" in rows(store)[0].failed


def test_a_sender_that_breaks_is_one_more_failure(store: Database) -> None:
    def broken(message: Message) -> None:
        raise ZeroDivisionError(SECRET)

    told = notifier(store, CHAT, senders={"chat": broken}, retries=0)
    waiting(store)
    told.step(NOW)
    assert rows(store)[0].failed == "receiver chat: ZeroDivisionError"


def test_an_incident_that_is_gone_does_not_hold_up_the_others(store: Database) -> None:
    sent: list[Message] = []
    told = notifier(store, CHAT, senders={"chat": sent.append})
    first = waiting(store)
    second = waiting(store, fingerprint="f2")
    with store.write() as tx:
        tx.execute(sa.text("delete from incidents where id = :id"), {"id": first})
    assert told.step(NOW) == 1
    assert f"#{second} " in sent[0].subject
    assert "the incident is gone" in rows(store)[0].failed


def test_a_claimed_message_is_sent_again_after_a_crash(store: Database) -> None:
    """At least once: who dies between sending and noting it, sends it again."""
    sent: list[Message] = []
    waiting(store)
    dying = notifier(store, CHAT, senders={"chat": sent.append})
    dying._note = lambda *args: None  # type: ignore[method-assign]
    dying.step(NOW)
    again = notifier(store, CHAT, senders={"chat": sent.append})
    assert again.step(NOW + timedelta(seconds=1)) == 0
    assert again.step(NOW + timedelta(minutes=5)) == 1
    assert len(sent) == 2


def test_messages_of_one_receiver_keep_their_order(store: Database) -> None:
    sent: list[Message] = []
    told = notifier(store, CHAT, senders={"chat": sent.append})
    incident = waiting(store)
    with store.write() as tx:
        incidents.move(tx, incident, State.EXPIRED, "nobody answered")
    told.step(NOW)
    assert ["waiting" in sent[0].line, "expired" in sent[1].line] == [True, True]


def test_two_receivers_of_one_name_are_refused(store: Database) -> None:
    with pytest.raises(ConfigError, match="two receivers are called chat"):
        notifier(store, CHAT, CHAT)
    with pytest.raises(ConfigError, match="the name console is taken"):
        notifier(store, receiver("console", "json://x"))


def test_the_wait_doubles_up_to_an_hour() -> None:
    waits = [wait_after(attempts) for attempts in range(100)]
    assert waits[:3] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
    assert waits[-1] == LONGEST_WAIT


def test_a_receiver_that_answered_is_free_for_the_next_step(store: Database) -> None:
    sent: list[Message] = []
    told = notifier(store, CHAT, senders={"chat": sent.append})
    for number in range(30):
        waiting(store, fingerprint=f"f{number}")
        assert told.step(NOW + number * timedelta(minutes=1)) == 1, "no storm"
    assert len(sent) == 30


def test_whoever_is_told_of_escalations_is_told_of_suspicions(store: Database) -> None:
    """Invariant 8: a suspected injection pages."""
    receivers = (
        config.Receiver(name="pager", url="json://a", on=("escalated",)),
        config.Receiver(name="chat", url="json://b", on=("fixed",)),
    )
    notifier = Notifier(config.Notify(receivers=receivers), store, mask=lambda text: text)
    assert notifier.subscriptions["pager"] == ("escalated", "suspected")
    assert notifier.subscriptions["chat"] == ("fixed",)
    assert "suspected" in notifier.subscriptions["console"]
