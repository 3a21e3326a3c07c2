"""The demo: what it is made of, by itself; tests/real/test_demo_real.py runs it whole."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner import catalog, config, shipped
from runner.errors import Refused, RunnerError, UsageError
from runner.incident import Alert, AlertStatus, Incident, Level, State, Transition
from runner.incident_report import Bundle
from runner.incident_report.screen import Screen
from runner_demo import folder as project_folder
from runner_demo import node
from runner_demo.ended import Ended, Signals
from runner_demo.faults import BY_NAME, FAULTS, HOST, Fault
from runner_demo.fleet import BAD, GOOD, PRICES, Fleet, free_ports
from runner_demo.play import Wish, expected
from runner_demo.show import JsonLines, Words, wrapped
from runner_demo.story import Event, Story

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SHIPPED = sorted(shipped.folder().glob("playbooks/*/entry.yml"))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path / "fleet", range(20001, 20007))
    yield made
    made.stop()


@pytest.fixture
def furnished(tmp_path: Path, fleet: Fleet) -> config.Config:
    path = project_folder.furnish(tmp_path, fleet, level="auto", port=20000)
    return config.load(path)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_exactly_the_right_entry_is_eligible_for_each_fault(
    furnished: config.Config, fault: Fault
) -> None:
    entries = catalog.load(furnished.project.playbooks, furnished.project.roles)
    watch = next(
        each
        for each in furnished.watches
        if each.name == fault.alert and each.labels["instance"].startswith(HOST)
    )
    eligible = entries.eligible(watch.labels | {"alertname": watch.name})
    assert [entry.id for entry in eligible] == ([fault.entry] if fault.entry else [])


def test_every_node_has_one_watch_for_every_kind_of_trouble(furnished: config.Config) -> None:
    kinds = {(watch.name, watch.labels["instance"]) for watch in furnished.watches}
    assert len(kinds) == len(furnished.watches) == 3 * len({fault.alert for fault in FAULTS})


def test_it_listens_on_loopback_and_keeps_its_store_in_its_folder(
    furnished: config.Config, tmp_path: Path
) -> None:
    assert furnished.listen.loopback
    assert furnished.store.url == "sqlite:///var/runner.db"
    assert furnished.project.state == tmp_path / "var"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_a_hastened_entry_differs_in_level_and_hold_only(path: Path) -> None:
    before = yaml.safe_load(path.read_text())
    after = yaml.safe_load(project_folder.hastened(path.read_text()))
    assert after["level"] == "auto"
    assert after["verify"].get("hold", project_folder.HOLD) == project_folder.HOLD
    after["level"] = before["level"]
    if "hold" in before["verify"]:
        after["verify"]["hold"] = before["verify"]["hold"]
    assert after == before


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not of a demo"), project_folder.claimed(tmp_path):
        pass
    assert (tmp_path / "thesis.txt").exists()


def test_what_an_earlier_demo_left_is_removed_but_not_what_its_links_lead_to(
    tmp_path: Path,
) -> None:
    place, elsewhere = tmp_path / "demo", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    with project_folder.claimed(place):
        (place / "old").mkdir()
        (place / "link").symlink_to(elsewhere)
    with project_folder.claimed(place):
        assert [each.name for each in place.iterdir()] == [project_folder.MARK]
    assert (elsewhere / "kept").exists()


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "demo"
    with (
        project_folder.claimed(place),
        pytest.raises(Refused, match="Another demo uses"),
        project_folder.claimed(place),
    ):
        pass


@pytest.mark.parametrize("name", ["a,b", "a:b", "a{{b", "a%b", "a'b"])
def test_a_path_that_ansible_would_read_otherwise_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--folder"), project_folder.claimed(tmp_path / name):
        pass


def test_a_long_folder_gets_its_sockets_elsewhere(tmp_path: Path) -> None:
    long = Fleet(tmp_path / ("x" * 100), range(20001, 20007))
    assert all(len(os.fsencode(each.socket)) < 100 for each in long.nodes.values())
    long.stop()
    assert not long.nodes[HOST].socket.parent.exists()


def test_free_ports_are_all_different() -> None:
    assert len(set(free_ports(20))) == 20


def test_the_bad_release_fails_for_customers_and_is_healthy_otherwise() -> None:
    good, bad = (node.App(release, PRICES[release]) for release in (GOOD, BAD))
    assert good.page()[0] == bad.health()[0] == 200
    with pytest.raises(KeyError):
        bad.page()


@pytest.mark.parametrize(("size", "status"), [(0, 200), (node.QUOTA // 2, 200), (node.QUOTA, 507)])
def test_the_agent_tells_when_the_disk_area_is_full(tmp_path: Path, size: int, status: int) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "page.tmp").write_bytes(bytes(size))
    assert node.Agent(tmp_path, 1).disk()[0] == status


def test_the_agent_does_not_take_silence_for_an_error(tmp_path: Path) -> None:
    assert node.Agent(tmp_path, free_ports(1)[0]).errors()[0] == 200


def test_a_service_that_is_down_is_not_signalled(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = fleet.nodes[HOST]
    monkeypatch.setattr(type(host), "control", lambda self, *words: "0")
    with pytest.raises(RunnerError, match="does not run"):
        BY_NAME["crash"].inject(host)


@pytest.mark.parametrize(
    ("fault", "level", "state"),
    [
        ("crash", Level.AUTO, State.FIXED),
        ("crash", Level.APPROVE, State.FIXED),
        ("disk", Level.DRY_RUN, State.DRY_RUN),
        ("disk", Level.OBSERVE, State.OBSERVED),
        ("unknown", Level.AUTO, State.ESCALATED),
    ],
)
def test_it_knows_how_the_incident_should_end(fault: str, level: Level, state: State) -> None:
    wish = Wish(fault=BY_NAME[fault], level=level, folder=Path(), port=None, keep=False)
    assert expected(wish) is state


def test_a_signal_counts_once_and_at_the_end_of_what_must_be_whole() -> None:
    import signal

    done = []
    with Signals() as signals:
        with pytest.raises(Ended) as ended, signals.deferred():
            signal.raise_signal(signal.SIGTERM)
            done.append("whole")
        signal.raise_signal(signal.SIGINT)
    assert done == ["whole"]
    assert ended.value.exit_code == 143


def bundle(*states: State) -> Bundle:
    alert = Alert(
        fingerprint="f",
        status=AlertStatus.FIRING,
        labels={"alertname": "ServiceDown", "instance": "web2:1\x1b[31m"},
        annotations={"seen": "refused"},
        starts_at=NOW,
        source="watch",
    )
    incident = Incident(
        id=1,
        alert=alert,
        state=states[-1],
        reason="because",
        created_at=NOW,
        updated_at=NOW,
        environment="demo",
        ceiling=Level.AUTO,
    )
    rows = tuple(
        Transition(
            sequence=number, incident=1, at=NOW, actor="runner", action=state, previous=None,
            reason="because",
        )
        for number, state in enumerate(states, 1)
    )  # fmt: skip
    return Bundle(
        incident=incident, evidence=(), decisions=(), verdict=None, plan=None, radius=None,
        approvals=(),
        runs=(), verifications={}, transitions=rows,
    )  # fmt: skip


def kinds(story: Story, found: Bundle) -> list[str]:
    return [each.kind for each in story.news(found, [], firing=True)]


def test_each_transition_is_told_once_and_in_order() -> None:
    story = Story()
    assert kinds(story, bundle(State.ADMITTED)) == ["alert", "admitted"]
    found = bundle(State.ADMITTED, State.LOCATED, State.GATHERED)
    assert kinds(story, found) == ["located", "evidence"]
    assert kinds(story, found) == []


def test_an_end_before_anything_ran_is_told_without_a_verification() -> None:
    assert kinds(Story(), bundle(State.ADMITTED, State.RESOLVED))[-1] == "end"


def shown(*events: Event) -> str:
    stream = io.StringIO()
    words = Words(Screen(color=False, stream=stream, terminal=False))
    for each in events:
        words.tell(each)
    words.close()
    return stream.getvalue()


def test_what_an_alert_says_cannot_act_on_the_terminal() -> None:
    """Invariant 5: a label reaches the screen as text only."""
    text = shown(*Story().news(bundle(State.ADMITTED), [], firing=True))
    assert "ServiceDown" in text and "\x1b" not in text


def test_every_event_can_be_said_as_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    for each in Story().news(bundle(State.ADMITTED, State.LOCATED), [], firing=True):
        JsonLines().tell(each)
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in capsys.readouterr().out.splitlines()
    ]
    assert [line["event"] for line in lines] == ["alert", "admitted", "located"]


@given(st.text(alphabet="ab |,", max_size=200), st.integers(min_value=5, max_value=80))
def test_wrapping_keeps_every_character_but_spaces(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert all(len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
