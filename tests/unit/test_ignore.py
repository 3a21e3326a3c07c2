"""`ignore:` in runner.yml: recorded, told to nobody, counted, and never what is critical."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import config
from runner.config import Config
from runner.errors import ConfigError
from runner.incident import State
from runner.intake.ignore import ignored_by
from runner.notify.notifier import CONSOLE_ON
from runner.project import Project
from runner.steps.locate import locate
from runner.store import incidents
from runner.store.ignored import ignored_since
from runner.store.order import Urgency, urgency_of
from runner.telemetry import Metrics
from tests import small_project as small

DEFAULT = Config().ignore


@pytest.mark.parametrize(
    ("labels", "by"),
    [
        ({"alertname": "Watchdog", "severity": "none"}, 'alertname="Watchdog"'),
        ({"alertname": "InfoInhibitor"}, 'alertname="InfoInhibitor"'),
        ({"alertname": "A", "severity": "Info"}, 'severity=~"(?i)none|info|information"'),
        ({"alertname": "A", "severity": "NONE"}, 'severity=~"(?i)none|info|information"'),
        ({"alertname": "A", "severity": "informational"}, None),
        ({"alertname": "A", "severity": "warning"}, None),
        ({"alertname": "A"}, None),
        ({"alertname": "Watchdog", "severity": "critical"}, None),
        ({"alertname": "A", "severity": "none", "priority": "P1"}, None),
        (
            {"alertname": "A", "severity": "none", "priority": "P2"},
            'severity=~"(?i)none|info|information"',
        ),
        ({"alertname": "Watchdog", "severity": "critical", "priority": "P4"}, None),
    ],
)
def test_unless_told_otherwise_it_is_what_says_nothing(
    labels: dict[str, str], by: str | None
) -> None:
    assert ignored_by(labels, DEFAULT) == by


def test_all_matchers_of_an_item_must_match_and_any_item_is_enough() -> None:
    ignore = Config.model_validate({"ignore": ["a=1", ["b=2", "c=3"]]}).ignore
    assert ignored_by({"a": "1"}, ignore) == 'a="1"'
    assert ignored_by({"b": "2"}, ignore) is None
    assert ignored_by({"b": "2", "c": "3"}, ignore) == 'b="2", c="3"'
    assert Config.model_validate({"ignore": []}).ignore == ()
    assert Config.model_validate({"ignore": "a=1"}).ignore == ("a=1",)


@given(st.dictionaries(st.sampled_from(["severity", "alertname", "a"]), st.text(max_size=9)))
def test_nothing_critical_is_ignored(labels: dict[str, str]) -> None:
    """Not by the widest matcher there is."""
    for word in ("critical", "Critical", "PAGE", "emergency", "p1"):
        assert ignored_by(labels | {"severity": word}, ['alertname=~".*"']) is None
    covered = ignored_by(labels, [['alertname=~"(?s).*"']]) is not None
    assert covered is (urgency_of(labels) is not Urgency.CRITICAL)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, "ignore: must be a list"),
        (["a"], "'a' is not a matcher"),
        ([[]], "an empty list, which would match every alert"),
        ([["a=1", 3]], "'3', which is not a text"),
        (["a=~("], "is not a regular expression of RE2"),
    ],
)
def test_a_list_that_is_none_is_a_sentence(value: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ignore") as found:
        config.build({"ignore": value}, root=tmp_path)
    assert said in str(found.value)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Project]:
    made = small.project(small.make(tmp_path))
    yield made
    made.close()


def test_it_is_recorded_told_to_nobody_and_counted(opened: Project) -> None:
    number = small.open_one(opened, {"severity": "info"})
    assert not locate(opened, number)
    found = small.look(opened, number)
    assert found.incident.state is State.SUPPRESSED
    assert found.incident.reason == (
        'ignored by severity=~"(?i)none|info|information", under `ignore:` in runner.yml'
    )
    assert found.evidence == found.runs == found.decisions == ()
    last = found.transitions[-1]
    assert last.action not in CONSOLE_ON and last.action not in list(State)
    now = datetime.now(UTC)
    by = 'severity=~"(?i)none|info|information"'
    with opened.database.read() as tx:
        assert ignored_since(tx, now - timedelta(days=1)) == {by: 1}
        assert ignored_since(tx, now + timedelta(minutes=1)) == {}
    text = Metrics(opened.database).render().decode()
    shown = by.replace('"', '\\"')
    assert f'runner_alerts_ignored{{by="{shown}"}} 1.0' in text


def test_what_a_person_proposed_is_not_ignored(opened: Project) -> None:
    number = small.open_one(opened, {"severity": "info"})
    locate(opened, number)
    with opened.database.write() as tx:
        again = incidents.reopen(
            tx, incidents.get(tx, number), reason="r", actor="user:ann",
            proposal={"entry": "mark", "values": {}},
        )  # fmt: skip
    assert locate(opened, again)


def test_what_is_critical_goes_on(opened: Project) -> None:
    assert locate(opened, small.open_one(opened, {"alertname": "Watchdog", "severity": "critical"}))
