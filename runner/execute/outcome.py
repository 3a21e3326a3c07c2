"""What a run came to, from what is known of its end.

ansible-runner's `successful` is not success: a play that matched no host, or
whose every task was skipped, ignored or rescued, ends the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runner.incident import Outcome

Stats = Mapping[str, Mapping[str, int]]
Verdict = tuple[Outcome, str]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """The end of a run as its supervisor recorded it; without one, everything is None."""

    rc: int | None = None
    stats: Stats | None = None  #: by host; None when the stats event never came
    hosts_seen: frozenset[str] = frozenset()  #: in events, delegation included
    begun: bool = True  #: whether Ansible came as far as its plays
    #: that a task changed: the host that it was delegated to, in place of its own
    changed: frozenset[str] = frozenset()
    idle: frozenset[str] = frozenset()  #: hosts on which every task with an effect was skipped
    unmatched: tuple[str, ...] = ()  #: plays that were for no host, by name
    stopped: str | None = None  #: timeout or cancelled, when we ended it
    survivors: int = 0  #: processes that could not be ended
    error: str = ""  #: what went wrong around Ansible, not in it
    refused: tuple[str, ...] = ()  #: files that it was stopped from loading, each with why
    loaded: Mapping[str, str] = field(default_factory=dict)  #: file → SHA-256, of a dry run
    ended_at: datetime | None = None

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> Ending:
        """The ending in the supervisor's `ending.json`."""
        return cls(
            rc=record["rc"],
            stats=record["stats"],
            hosts_seen=frozenset(record["hosts_seen"]),
            begun=record.get("begun", True),
            changed=frozenset(record.get("changed", ())),
            idle=frozenset(record["idle"]),
            unmatched=tuple(record.get("unmatched", ())),
            stopped=record["stopped"],
            survivors=record["survivors"],
            error=record["error"],
            ended_at=datetime.fromisoformat(record["ended_at"]),
            refused=tuple(record.get("refused", ())),
            loaded=record.get("loaded", {}),
        )


@dataclass(frozen=True, kw_only=True)
class Messages:
    """The play's own words for the reason, already masked."""

    hosts: Mapping[str, str] = field(default_factory=dict)  #: host → first failure
    play: str = ""  #: why the play never ran


def judge(
    ending: Ending,
    *,
    hosts: Iterable[str],
    allowed: Iterable[str],
    left_out: Iterable[str] = (),
    messages: Messages | None = None,
) -> Verdict:
    """The outcome and one sentence of reason. Success needs rc 0 and a stats event."""
    said = messages or Messages()
    requested = sorted(hosts)
    left = f"; {ending.survivors} of its processes could not be ended" if ending.survivors else ""
    seen = ending.hosts_seen | set(ending.stats or ())
    if strangers := sorted(seen - {*requested, *allowed}):
        early = f", and was ended early ({ending.stopped})" if ending.stopped else ""
        text = f"it touched {_list(strangers)}, which the plan does not name{early}"
        return Outcome.FAILED, text
    if ending.refused:
        why = f"because it would have loaded {ending.refused[0]}"
        return Outcome.FAILED, f"it was stopped before its next task, {why}{left}"
    # One that had come to its end before it could be stopped is judged by that.
    if ending.stopped and not (ending.rc == 0 and ending.stats):
        return Outcome(ending.stopped), f"{_ended_early(ending)}{left}"
    # Without a status and statistics of every host nothing is proved.
    if ending.rc is None:
        return Outcome.UNKNOWN, ending.error or "Ansible went away without an exit status"
    if ending.stats is None and ending.rc == 0:
        return Outcome.UNKNOWN, "Ansible ended with status 0 but never reported its statistics"
    if ending.stats is None and "no hosts to target" in said.play:
        return Outcome.NO_HOSTS, "the inventory has none of the requested hosts"
    if ending.stats is None:
        why = said.play or "it gave no reason"
        return Outcome.FAILED, f"the play never ran (status {ending.rc}): {why}"
    if not ending.stats:
        return Outcome.NO_HOSTS, f"the play matched no host; asked for {_list(requested)}"
    if missing := [host for host in requested if host not in ending.stats]:
        failure = _failure(ending, said)
        cause = f"{failure[1]}; " if failure else ""
        text = f"{cause}the play never reached {_list(missing)}, which it was asked to"
        return Outcome.FAILED, text
    may_be = set(left_out)
    return _told(ending, said, [name for name in ending.unmatched if name not in may_be])


def _ended_early(ending: Ending) -> str:
    late = ending.stopped == "timeout"
    words = "it was ended at its deadline" if late else "it was cancelled"
    if ending.error:
        return f"{words}: {ending.error}"
    if ending.begun or ending.hosts_seen:
        return f"{words}; what it had done until then is not known"
    silent = "; a source of the inventory or a program that prints a password did not answer"
    return f"{words} before its first play{silent if late else ''}"


def _told(ending: Ending, said: Messages, unmatched: Sequence[str]) -> Verdict:
    """What the statistics of a whole run say; some ends look like success and are none."""
    stats = ending.stats or {}
    if failure := _failure(ending, said):
        return failure
    if ending.rc:
        return Outcome.FAILED, f"Ansible ended with status {ending.rc}: {said.play or 'no reason'}"
    if unmatched:
        return Outcome.FAILED, f"the play {unmatched[0]!r} was for no host, and was left out"
    for word in ("ignored", "rescued"):
        if hosts := _with(ending, word):
            text = f"a failure was {word} on {_list(hosts)}{_words(said, hosts)}"
            return Outcome.TOLERATED_FAILURE, text
    skipped = {
        host for host, count in stats.items() if count.get("skipped") and not count.get("ok")
    }
    if idle := sorted(ending.idle | skipped):
        return Outcome.ALL_SKIPPED, f"every task was skipped on {_list(idle)}"
    if changed := _with(ending, "changed"):
        tasks = sum(stats[host]["changed"] for host in changed)
        where = sorted(ending.changed) or changed
        return Outcome.CHANGED, f"{tasks} task{'s' * (tasks != 1)} changed {_list(where)}"
    return Outcome.NO_CHANGE, f"no change reported on {_list(sorted(stats))}"


def _failure(ending: Ending, said: Messages) -> Verdict | None:
    """What failed on some host, with the first message of one of them."""
    if failed := _with(ending, "failures"):
        return Outcome.FAILED, f"a task failed on {_list(failed)}{_words(said, failed)}"
    if dark := _with(ending, "dark"):
        return Outcome.UNREACHABLE, f"{_list(dark)} could not be reached{_words(said, dark)}"
    return None


def _with(ending: Ending, count: str) -> list[str]:
    stats = ending.stats or {}
    return sorted(host for host, counts in stats.items() if counts.get(count))


def _words(said: Messages, hosts: list[str]) -> str:
    return next((f": {said.hosts[host]}" for host in hosts if host in said.hosts), "")


def _list(hosts: list[str]) -> str:
    if len(hosts) > 5:
        return f"{', '.join(hosts[:5])} and {len(hosts) - 5} more"
    return ", ".join(hosts)
