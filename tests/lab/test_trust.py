"""What a run must not do, on real hosts: what nobody approved, and what a group cannot bear."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from runner.incident import Level, Purpose, State
from runner.incident_report.approval_request import radius_words
from tests.lab.game import BY, Game

CACHE = "/data/cache"
MEMBERS = ("store1", "store2", "store3")

#: Two old files that fill the disk: what `clean_disk` was made for.
FILL = f"""
mkdir -p {CACHE}
for name in one two; do fallocate --length 29MiB {CACHE}/$name.tmp; done
touch --date='2 days ago' {CACHE}/*.tmp
"""
LOOK = f"find {CACHE} -type f -printf '%p %s %T@ %i\\n' | sort"


def fill(game: Game, host: str) -> datetime:
    """Fill the disk of a host with old files; from when on its alert may come."""
    since = datetime.now(UTC)
    game.lab.run(host, "sh", "-c", FILL)
    return since


def clear(game: Game, host: str) -> None:
    """Remove the files, and wait for the alert to end."""
    game.lab.run(host, "rm", "-rf", CACHE)
    game.quiet(host)


@pytest.fixture
def full(game: Game) -> Iterator[datetime]:
    """The disk of web2 is full since then."""
    yield fill(game, "web2")
    clear(game, "web2")


def test_what_changed_on_the_host_after_the_approval_is_not_touched(
    game: Game, full: datetime
) -> None:
    """The person approved the end of two old files; one of them is in use again."""
    asked = game.question("web2", full)
    assert asked.incident.state is State.WAITING, asked.incident.reason
    assert (asked.incident.alert.name, asked.incident.entry) == ("DiskFull", "clean_disk")
    shown = next(run.diff for run in asked.runs if run.purpose is Purpose.DRY_RUN)
    assert f"{CACHE}/one.tmp" in json.dumps(shown) and f"{CACHE}/two.tmp" in json.dumps(shown)

    game.approve(asked)
    with game.standing_still():  # so that the order is certain: approved, changed, run
        game.lab.run("web2", "sh", "-c", f"echo precious >> {CACHE}/two.tmp")
        before = game.lab.run("web2", "sh", "-c", LOOK)
    late = game.end_of(asked.incident.id)
    assert [answer.answered_by for answer in late.approvals] == [BY]
    assert late.incident.state is State.CANCELLED, late.incident.reason
    assert "other changes than those approved" in late.incident.reason
    assert f"{CACHE}/two.tmp" in late.incident.reason
    assert Purpose.REMEDIATION not in {run.purpose for run in late.runs}
    assert game.lab.run("web2", "sh", "-c", LOOK) == before


def test_what_nobody_touched_after_the_approval_is_done(game: Game, full: datetime) -> None:
    """The same question with nothing changed meanwhile: the refusal is about the change."""
    asked = game.question("web2", full)
    game.approve(asked)
    done = game.end_of(asked.incident.id)
    assert done.incident.state is State.FIXED, done.incident.reason
    assert game.lab.run("web2", "sh", "-c", LOOK) == ""


@pytest.fixture
def quorum(game: Game) -> Iterator[None]:
    """A group of the three members in the runner's inventory; each says that two must stay."""
    path = game.configuration.parent / "inventories/lab/quorum.yml"
    members: dict[str, None] = dict.fromkeys(MEMBERS)
    path.write_text(json.dumps({"all": {"children": {"quorum": {"hosts": members}}}}))
    yield
    path.unlink()


@pytest.fixture
def one_down(game: Game, quorum: None) -> Iterator[None]:
    """The power of store3 is cut, and Prometheus has seen it."""
    game.lab.power_off("store3")
    try:
        game.soon(lambda: set(game.targets("store3")) == {0}, "store3 is seen to be down")
        yield
    finally:
        game.lab.power_on("store3")
        game.soon(lambda: set(game.targets("store3")) == {1}, "store3 is seen to be up")
        game.quiet("store3")


def test_with_one_of_three_down_another_one_is_left_alone(game: Game, one_down: None) -> None:
    """Invariant 11: two of three must stay, one has no power, so nothing may take a second."""
    since = fill(game, "store2")
    try:
        before = game.lab.run("store2", "sh", "-c", LOOK)
        refused = game.question("store2", since)
        assert refused.incident.state is State.ESCALATED, refused.incident.reason
        assert refused.incident.alert.name == "DiskFull"
        assert refused.verdict is not None and refused.verdict.level is Level.DRY_RUN
        assert "capacity" in {reason.rule for reason in refused.verdict.limiting}
        assert "1 of 3 in quorum, leaves 1, needs 2" in radius_words(refused.radius)
        assert "quorum would keep 1 of 3 hosts, needs 2: 1 in this run" in refused.incident.reason
        assert "1 unhealthy or of unknown health" in refused.incident.reason
        assert {run.purpose for run in refused.runs} <= {Purpose.PROBE, Purpose.DRY_RUN}
        assert game.lab.run("store2", "sh", "-c", LOOK) == before
    finally:
        clear(game, "store2")
