"""The worker of the outbox: fan out, claim, write, send, note what came of it.

A message is sent at least once. It is claimed for `lease` before it is sent; a
runner that dies between sending and noting it, and a receiver that takes the
message but does not say so in time, both lead to a second one.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from runner import config, incident_report
from runner.errors import ConfigError, NotFound, RemoteError, StoreError
from runner.incident import ENDED, SUSPECTED, State
from runner.notify.message import Message, Writer
from runner.notify.receiver import Send, console, through_apprise
from runner.notify.storm import weather
from runner.store import audit_log, outbox
from runner.store.database import Database

log = logging.getLogger(__name__)

CONSOLE = "console"
#: The act in the audit log that says that a receiver was given up.
NOT_TOLD = "not_told"
#: What the console tells: every end but the ones that nobody has to know of, and acts.
CONSOLE_ON = (
    *sorted({State.WAITING, State.HELD, *ENDED} - {State.SUPPRESSED}),
    *("step", "left_out", "pause", "resume", SUSPECTED, "budget_spent", NOT_TOLD),
    *("greylist_join", "greylist_leave", "greylist_remind", "spares_empty"),
)
FIRST_WAIT = timedelta(seconds=30)  #: doubled by each further failure
LONGEST_WAIT = timedelta(hours=1)
PATIENCE = timedelta(seconds=45)  #: how long one step waits for its slowest receiver


@dataclass(frozen=True, kw_only=True)
class _Letter:
    """One claimed notification with its message."""

    due: outbox.Due
    message: Message


@dataclass(kw_only=True)
class _Lane:
    """The letters of one receiver in one step, sent in order by one thread."""

    letters: Sequence[_Letter]
    send: Send
    given_up: threading.Event = field(default_factory=threading.Event)


_Answer = tuple[_Letter, RemoteError | None]


class Notifier:
    """Tells receivers of transitions. One instance per process; `step` is for one thread.

    `mask` hides secrets; `ca_file` is trusted beside the authorities of the
    system. `senders` replaces the receivers' ways to send, by name, in tests.
    Raises ConfigError when two receivers share a name.
    """

    def __init__(
        self,
        notify: config.Notify,
        database: Database,
        environment: str = "default",
        *,
        mask: Callable[[str], str],
        senders: Mapping[str, Send] | None = None,
        patience: timedelta = PATIENCE,
        ca_file: Path | None = None,
    ) -> None:
        self.database = database
        self.retries = notify.retries
        self.storm = notify.storm
        self.patience = patience
        self.writer = Writer(mask=mask, environment=environment, public_url=notify.public_url)
        self.subscriptions = _subscriptions(notify)
        self._senders = _senders(notify, ca_file) | dict(senders or {})
        self._busy: dict[str, threading.Thread] = {}  # at most one thread per receiver

    def step(self, now: datetime) -> int:
        """Send what is due; returns how many were sent. Raises StoreError."""
        with self.database.read() as tx:
            if not outbox.has_news(tx, now):
                return 0
        # Twice the patience: nobody else may claim a letter while it can still be under way.
        lease = 2 * self.patience + timedelta(minutes=1)
        with self.database.write() as tx:
            outbox.fan_out(tx, self.subscriptions, now)
            # The console is a log: a line each, and it wakes nobody.
            weather(tx, self.subscriptions.keys() - {CONSOLE}, self.storm, now)
            outbox.fan_out(tx, self.subscriptions, now)  # of what it says itself
            claimed = outbox.claim(tx, now, lease)
        # The messages to send by receiver; those that cannot be sent at all are noted.
        letters: dict[str, list[_Letter]] = {}
        for due in claimed:
            if (message := self._write(due, now)) is not None:
                letters.setdefault(due.receiver, []).append(_Letter(due=due, message=message))
        lanes = {
            name: _Lane(letters=of_one, send=self._senders[name])
            for name, of_one in letters.items()
        }
        sent = 0
        for letter, error in self._send(lanes):
            sent += error is None
            self._note(letter.due, error, now)
        return sent

    def note_down(self, now: datetime) -> None:
        """Keep who is to be told of what happened, for whoever sends next. Raises StoreError."""
        with self.database.write() as tx:
            outbox.fan_out(tx, self.subscriptions, now)

    def _write(self, due: outbox.Due, now: datetime) -> Message | None:
        """The message, from what the store knows now; None, and a note, when it cannot be sent."""
        name, transition = f"receiver {due.receiver}", due.transition
        thread = self._busy.get(due.receiver)
        if due.receiver not in self._senders:
            error = RemoteError(f"{name}: it is no longer in runner.yml", permanent=True)
        elif thread is not None and thread.is_alive():
            error = RemoteError(f"{name}: an earlier message is still being sent")
        else:
            known = None
            try:
                if transition.incident:
                    with self.database.read() as tx:
                        known = incident_report.load(tx, transition.incident)
                return self.writer.write(transition, known)
            except NotFound:
                error = RemoteError(f"{name}: the incident is gone", permanent=True)
            except StoreError:
                raise
            except Exception as defect:  # a row that cannot be printed must not stop the others
                why = f"{name}: it cannot be written ({type(defect).__name__})"
                error = RemoteError(why, permanent=True)
        self._note(due, error, now)
        return None

    def _send(self, lanes: Mapping[str, _Lane]) -> Iterator[_Answer]:
        """Send every lane at once; a letter without an answer in time gets an error."""
        answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        for name, lane in lanes.items():
            thread = threading.Thread(
                target=_work, args=(lane, answers), name=f"notify-{name}", daemon=True
            )
            self._busy[name] = thread
            thread.start()
        waiting = {letter.due.id: letter for lane in lanes.values() for letter in lane.letters}
        deadline = time.monotonic() + self.patience.total_seconds()
        try:
            while waiting:
                answer = answers.get(timeout=max(0.0, deadline - time.monotonic()))
                waiting.pop(answer[0].due.id)
                yield answer
        except queue.Empty:
            pass  # those that are still waiting get their error below
        finally:
            for lane in lanes.values():
                lane.given_up.set()
        hanging = {letter.due.receiver for letter in waiting.values()}
        for name in lanes.keys() - hanging:
            del self._busy[name]  # it answered for its last letter: it only has to end
        yield from [
            (letter, RemoteError(f"receiver {letter.due.receiver}: it did not answer in time"))
            for letter in waiting.values()
        ]

    def _note(self, due: outbox.Due, error: RemoteError | None, now: datetime) -> None:
        with self.database.write() as tx:
            if error is None:
                outbox.sent(tx, due.id, now)
            elif self._is_final(due, error):
                # It is lost to its receiver; the incident's own record says so from now on.
                if due.transition.action != NOT_TOLD:
                    audit_log.append(
                        tx,
                        incident=due.transition.incident,
                        action=NOT_TOLD,
                        reason=f"{due.receiver} did not deliver {due.transition.action}: {error}",
                        detail={"of": due.transition.sequence, "receiver": due.receiver},
                    )
                outbox.failed(tx, due.id, str(error))
            else:
                outbox.later(tx, due.id, now + wait_after(due.attempts))
        if error is not None:
            final = self._is_final(due, error)
            log.log(
                logging.ERROR if final else logging.DEBUG,
                "%s; incident %s, %s, attempt %d%s",
                error,
                due.transition.incident or "none",
                due.transition.action,
                due.attempts + 1,
                ": given up" if final else "",
                extra={"action": "notification_failed" if final else "notification_delayed"},
            )

    def _is_final(self, due: outbox.Due, error: RemoteError) -> bool:
        return error.permanent or due.attempts >= self.retries


def wait_after(attempts: int) -> timedelta:
    """How long to wait when one more try failed after `attempts` earlier ones."""
    doublings = min(attempts, 20)  # more would be longer than LONGEST_WAIT anyway
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << doublings))


def _subscriptions(notify: config.Notify) -> dict[str, tuple[str, ...]]:
    """Receiver name → actions that it is told of."""
    names = [receiver.name for receiver in notify.receivers]
    if CONSOLE in names:
        raise ConfigError("notify.receivers: the name console is taken; set notify.console instead")
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"notify.receivers: two receivers are called {name}; rename one")
    # Whoever is told of escalations is told of suspected injections, too (invariant 8).
    by_name = {
        receiver.name: (*receiver.on, SUSPECTED) if State.ESCALATED in receiver.on else receiver.on
        for receiver in notify.receivers
    }
    return by_name | ({CONSOLE: tuple(map(str, CONSOLE_ON))} if notify.console else {})


def _senders(notify: config.Notify, ca_file: Path | None) -> dict[str, Send]:
    senders: dict[str, Send] = {
        receiver.name: partial(through_apprise, receiver, ca_file=ca_file)
        for receiver in notify.receivers
    }
    return senders | ({CONSOLE: console} if notify.console else {})


def _work(lane: _Lane, answers: queue.SimpleQueue[_Answer]) -> None:
    """A thread's life: send the lane's letters in order, until it is given up."""
    for letter in lane.letters:
        if lane.given_up.is_set():
            return
        try:
            lane.send(letter.message)
        except RemoteError as error:
            answers.put((letter, error))
        except Exception as error:
            name = type(error).__name__
            answers.put((letter, RemoteError(f"receiver {letter.due.receiver}: {name}")))
        else:
            answers.put((letter, None))
