"""What a run came to, from what is known of its end.

ansible-runner's `successful` is not success: a play that matched no host, or
whose every task was skipped, ignored or rescued, ends the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    idle: frozenset[str] = frozenset()  #: hosts on which every task with an effect was skipped
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
            idle=frozenset(record["idle"]),
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
    messages: Messages | None = None,
) -> Verdict:
    """The outcome and one sentence of reason. Success needs rc 0 and a stats event."""
    said = messages or Messages()
    requested = sorted(hosts)
    for verdict in (
        _strangers(ending, {*requested, *allowed}),
        _refused(ending),
        _stopped(ending),
        _unproved(ending, said),
        _incomplete(ending, requested),
        _broken(ending, said),
        _hollow(ending, said),
    ):
        if verdict:
            return verdict
    return _completed(ending)


def _strangers(ending: Ending, allowed: set[str]) -> Verdict | None:
    seen = ending.hosts_seen | set(ending.stats or ())
    if strangers := sorted(seen - allowed):
        text = f"it touched {_list(strangers)}, which the plan does not name"
        return Outcome.FAILED, text + (
            f", and was ended early ({ending.stopped})" if ending.stopped else ""
        )
    return None


def _refused(ending: Ending) -> Verdict | None:
    if not ending.refused:
        return None
    text = f"it was stopped before its next task, because it would have loaded {ending.refused[0]}"
    if ending.survivors:
        text += f"; {ending.survivors} of its processes could not be ended"
    return Outcome.FAILED, text


def _stopped(ending: Ending) -> Verdict | None:
    if not ending.stopped or (ending.rc == 0 and ending.stats):
        return None  # it had come to its end before it could be stopped
    words = {"timeout": "it was ended at its deadline", "cancelled": "it was cancelled"}
    text = words[ending.stopped] + "; what it had done until then is not known"
    if ending.error:
        text = f"{words[ending.stopped]}: {ending.error}"
    if ending.survivors:
        text += f"; {ending.survivors} of its processes could not be ended"
    return Outcome(ending.stopped), text


def _unproved(ending: Ending, said: Messages) -> Verdict | None:
    if ending.rc is None:
        return Outcome.UNKNOWN, ending.error or "Ansible went away without an exit status"
    if ending.stats is not None:
        return None
    if ending.rc == 0:
        return Outcome.UNKNOWN, "Ansible ended with status 0 but never reported its statistics"
    if "no hosts to target" in said.play:
        return Outcome.NO_HOSTS, "the inventory has none of the requested hosts"
    why = said.play or "it gave no reason"
    return Outcome.FAILED, f"the play never ran (status {ending.rc}): {why}"


def _incomplete(ending: Ending, requested: list[str]) -> Verdict | None:
    processed = set(ending.stats or ())
    if not processed:
        return Outcome.NO_HOSTS, f"the play matched no host; asked for {_list(requested)}"
    if missing := [host for host in requested if host not in processed]:
        return Outcome.FAILED, f"the play never reached {_list(missing)}, which it was asked to"
    return None


def _broken(ending: Ending, said: Messages) -> Verdict | None:
    if failed := _with(ending, "failures"):
        return Outcome.FAILED, f"a task failed on {_list(failed)}{_words(said, failed)}"
    if dark := _with(ending, "dark"):
        return Outcome.UNREACHABLE, f"{_list(dark)} could not be reached{_words(said, dark)}"
    if ending.rc:
        return Outcome.FAILED, f"Ansible ended with status {ending.rc}: {said.play or 'no reason'}"
    return None


def _hollow(ending: Ending, said: Messages) -> Verdict | None:
    """The ends that look like success and are none."""
    for count, word in (("ignored", "ignored"), ("rescued", "rescued")):
        if hosts := _with(ending, count):
            text = f"a failure was {word} on {_list(hosts)}{_words(said, hosts)}"
            return Outcome.TOLERATED_FAILURE, text
    stats = ending.stats or {}
    idle = sorted(
        ending.idle
        | {host for host, count in stats.items() if count.get("skipped") and not count.get("ok")}
    )
    if idle:
        return Outcome.ALL_SKIPPED, f"every task was skipped on {_list(idle)}"
    return None


def _completed(ending: Ending) -> Verdict:
    stats = ending.stats or {}
    if changed := _with(ending, "changed"):
        tasks = sum(stats[host]["changed"] for host in changed)
        return Outcome.CHANGED, f"{tasks} task{'s' * (tasks != 1)} changed {_list(changed)}"
    return Outcome.NO_CHANGE, f"no change reported on {_list(sorted(stats))}"


def _with(ending: Ending, count: str) -> list[str]:
    stats = ending.stats or {}
    return sorted(host for host, counts in stats.items() if counts.get(count))


def _words(said: Messages, hosts: list[str]) -> str:
    return next((f": {said.hosts[host]}" for host in hosts if host in said.hosts), "")


def _list(hosts: list[str]) -> str:
    if len(hosts) > 5:
        return f"{', '.join(hosts[:5])} and {len(hosts) - 5} more"
    return ", ".join(hosts)
