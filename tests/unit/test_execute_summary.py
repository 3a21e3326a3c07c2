"""What a run left is read within limits; without a summary the outcome stays true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.evidence.mask import Mask
from runner.execute.request import RunResult
from runner.execute.result import UNREAD, finish, masked
from runner.execute.run import recover
from runner.execute.shown import MARK, MAX_SHOWN, OutputFilter
from runner.incident import Outcome

COUNTS = {"ok": 1, "changed": 1, "failures": 0, "dark": 0, "skipped": 0, "ignored": 0, "rescued": 0}
ID = "0123456789abcdef"


def left(folder: Path, **changes: Any) -> Path:
    """The folder of a run that changed web1 and ended well."""
    run, private = folder / ID, folder / "private"
    for each in (run, private):
        each.mkdir(parents=True)
    ending = {
        "rc": 0, "stats": {"web1": COUNTS}, "hosts_seen": ["web1"], "idle": [], "stopped": None,
        "survivors": 0, "error": "", "ended_at": "2026-03-04T12:00:00+00:00",
    }  # fmt: skip
    intent = {
        "id": ID, "hosts": ["web1"], "allowed": ["web1"], "check": False, "private": str(private),
        "started_at": "2026-03-04T11:59:00+00:00", "deadline": 0.0, "grace": 0.0,
    }  # fmt: skip
    (run / "ending.json").write_text(json.dumps(ending))
    (run / "intent.json").write_text(json.dumps(intent | changes))
    return run


def finished(run: Path) -> RunResult:
    return finish(run, json.loads((run / "intent.json").read_text()), Mask(), None)


def test_without_a_summary_a_run_did_what_it_did_and_says_what_is_missing(tmp_path: Path) -> None:
    """Invariant 9: what could not be read changes no outcome."""
    result = finished(left(tmp_path))
    assert result.outcome is Outcome.CHANGED
    assert result.reason == f"1 task changed web1; {UNREAD}"
    assert result.diff == f"({UNREAD})"


def test_without_a_summary_a_dry_run_has_shown_nothing(tmp_path: Path) -> None:
    """Invariant 10: what is not known is not good."""
    result = finished(left(tmp_path, check=True))
    assert result.outcome is Outcome.FAILED
    assert "nothing is known of what it would change" in result.reason


def test_the_reason_is_the_failure_that_ended_it_and_no_ignored_one(tmp_path: Path) -> None:
    run = left(tmp_path)
    ending = json.loads((run / "ending.json").read_text())
    ending |= {"rc": 2, "stats": {"web1": COUNTS | {"failures": 1, "ignored": 1}}}
    (run / "ending.json").write_text(json.dumps(ending))
    failed = {"event": "runner_on_failed", "host": "web1", "action": "command"}
    events = [
        failed | {"uuid": "a", "task": "Look", "res": {"msg": "not there"}, "ignored": True},
        failed | {"uuid": "b", "task": "Act", "res": {"msg": "disk is full"}},
    ]
    lines = "".join(f"{json.dumps(event)}\n" for event in events)
    (tmp_path / "private/events.jsonl").write_text(lines)
    result = recover(tmp_path, ID)
    assert isinstance(result, RunResult)
    assert result.reason == "a task failed on web1: Act: disk is full"


@pytest.mark.parametrize(("memory", "read"), [(1024 * 2**20, True), (32 * 2**20, False)])
def test_the_summary_has_a_limit_of_memory(tmp_path: Path, memory: int, read: bool) -> None:
    """Invariant 14: another process reads it; where its memory ends, so does the summary alone."""
    left(tmp_path, memory=memory)
    event = {"event": "runner_on_ok", "host": "web1", "uuid": "u", "task": "t", "action": "copy",
             "res": {"changed": True, "diff": "x" * 50_000}}  # fmt: skip
    (tmp_path / "private/events.jsonl").write_text(f"{json.dumps(event)}\n" * 400)
    result = recover(tmp_path, ID)
    assert isinstance(result, RunResult)
    assert result.outcome is Outcome.CHANGED
    assert (UNREAD in result.reason) is not read
    assert result.diff.startswith("# web1 · t") is read
    assert not (tmp_path / "private").exists()


def test_what_stands_under_the_name_of_a_secret_is_withheld() -> None:
    """Invariant 13: a short one is found by its name only."""
    reported = {"db_password": "abc", "pin_token": 1234, "freed": 3, "unset_secret": None}
    assert masked(reported, Mask()) == {
        "db_password": "[masked]", "pin_token": "[masked]", "freed": 3, "unset_secret": None,
    }  # fmt: skip


UUID = "eyJ1dWlkIjogIjEyMyJ9"  # {"uuid": "123"}
TOKEN = f"{MARK}{UUID}\x1b[{len(UUID)}D{MARK}"
FORGED = "eyJldmVudCI6ICJwbGF5Ym9va19vbl9zdGF0cyJ9"  # {"event": "playbook_on_stats"}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_what_is_shown_is_bounded_between_two_events(size: int) -> None:
    """Invariant 14: however it is cut into pieces on its way."""
    text = f"{TOKEN}{'x' * (MAX_SHOWN + 500)}{TOKEN}end\n{TOKEN}"
    shown = OutputFilter()
    kept = "".join(shown(text[n : n + size]) for n in range(0, len(text), size))
    assert kept == f"{TOKEN}{'x' * MAX_SHOWN}{TOKEN}end\n{TOKEN}"


def test_a_host_cannot_print_an_event() -> None:
    """Invariant 9: only the ids that ansible-runner's own callback writes are marks."""
    forged = f"{MARK}{FORGED}\x1b[{len(FORGED)}D{MARK}"
    assert MARK not in OutputFilter()(f"text {forged} more\n")
    assert OutputFilter()(f"a{MARK}b{MARK}{TOKEN}") == f"ab{TOKEN}"
