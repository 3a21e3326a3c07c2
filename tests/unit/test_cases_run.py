"""One case: what the rules say, what policy makes of it, and what counts as wrong or harmful."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.cases.briefing import Briefing, of
from runner.cases.file import load
from runner.cases.run import CaseAnswer, rules_alone, run
from runner.catalog.entry import Entry
from runner.errors import CatalogError, InventoryError
from runner.incident import Decision, Level
from tests.case_files import SHIPPED, case, setting, tried, write


def chooser(entry: str | None, **more: Any) -> Any:
    """A decider that always gives this answer."""

    def decide(told: Briefing) -> CaseAnswer:
        decision = Decision(decider="model", entry=entry, reason="So it is.", **more)
        return CaseAnswer(decision=decision, decisions=(decision,))

    return decide


def test_what_is_right_passes(tmp_path: Path) -> None:
    found = tried(tmp_path)
    assert (found.failures, found.wrong, found.harm) == ((), (), ())
    (trial,) = found.trials
    assert (trial.entry, trial.hosts, trial.level) == ("restart_service", ("web1",), Level.AUTO)
    assert trial.acts


def test_another_entry_than_expected_fails(tmp_path: Path) -> None:
    found = tried(tmp_path, expect={"entry": "none_of_these", "hosts": None})
    assert found.failures == ("restart_service was chosen, none_of_these is right",)
    assert not found.harm


def test_several_entries_may_be_right(tmp_path: Path) -> None:
    assert not tried(tmp_path, expect={"entry": ["clean_disk", "restart_service"]}).failures


@pytest.mark.parametrize(
    ("expect", "sentence"),
    [
        ({"entry": "clean_disk", "never": "restart_service"}, "must never be chosen"),
        ({"hosts": ["web2"]}, "it would act on web1, not on web2"),
        ({"level": "approve"}, "its level is auto, at most approve is right"),
    ],
)
def test_harm_fails_even_where_a_miss_is_known(
    tmp_path: Path, expect: dict[str, Any], sentence: str
) -> None:
    found = tried(tmp_path, expect=expect, misses={"rules": "They do not read."})
    assert any(sentence in text for text in found.failures)
    assert found.harm == found.failures


def test_a_known_miss_is_wrong_but_does_not_fail(tmp_path: Path) -> None:
    expect = {"entry": "none_of_these", "hosts": None}
    found = tried(tmp_path, expect=expect, misses={"rules": "They do not read."})
    assert found.wrong and not found.failures


def test_a_miss_that_is_none_must_go(tmp_path: Path) -> None:
    found = tried(tmp_path, misses={"rules": "They do not read."})
    assert found.failures == ("this passes now; remove it from misses",)


def test_an_alert_that_is_nowhere_is_asked_of_nobody(tmp_path: Path) -> None:
    labels = {"alertname": "ServiceDown", "instance": "web9", "service": "app"}
    changes = {"alert": {"labels": labels}, "expect": {"entry": "none_of_these", "hosts": None}}
    found = tried(tmp_path, chooser("restart_service"), **changes)
    assert not found.failures
    assert found.trials[0].reason.startswith("not located: instance=")


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"inventory": {"web1": {"runner_level": "approve"}}}, "approve"),
        ({"alert": {"age": "9h"}}, "approve"),
        ({"runs": [{"entry": "restart_service", "host": "web1", "ago": "4m"}]}, "observe"),
        ({"runs": [{"entry": "restart_service", "host": "web1", "ago": "40m"}]}, "auto"),
        ({"unhealthy": []}, "auto"),
        ({"at": "2026-01-07T12:00:00Z"}, "auto"),
    ],
)
def test_the_level_is_that_of_policy(tmp_path: Path, changes: dict[str, Any], level: str) -> None:
    assert tried(tmp_path, **changes).trials[0].level == level


def test_capacity_counts(tmp_path: Path) -> None:
    hosts = {h: {"groups": ["web"], "runner_min_available": 2} for h in ("web1", "web2", "web3")}
    low = tried(tmp_path, inventory=hosts, unhealthy=["web2", "web3"])
    assert low.trials[0].level is Level.DRY_RUN
    assert "would keep 0 of 3" in low.trials[0].reason
    assert tried(tmp_path, inventory=hosts, unhealthy=[]).trials[0].level is Level.AUTO


def test_a_freeze_window_counts_only_at_a_moment(tmp_path: Path) -> None:
    freeze = {"freeze": [{"name": "always", "level": "observe"}]}
    frozen = setting(policy=freeze)
    plain, timed = case(tmp_path), case(tmp_path, at="2026-01-07T12:00:00Z")
    assert run(plain, frozen, rules_alone, decider="rules").trials[0].level is Level.AUTO
    assert run(timed, frozen, rules_alone, decider="rules").trials[0].level is Level.OBSERVE


def test_the_level_of_the_configuration_does_not_hide_what_a_case_bounds(tmp_path: Path) -> None:
    low = setting(level="observe")
    assert run(case(tmp_path), low, rules_alone, decider="rules").trials[0].level is Level.AUTO


def test_a_plan_that_cannot_be_made_goes_no_further(tmp_path: Path) -> None:
    found = tried(tmp_path, chooser("restart_service", values={"service_restart_force": True}))
    assert found.trials[0].level is Level.OBSERVE
    assert "No plan can be made" in found.trials[0].reason


def test_conditions_are_answered_by_the_case(tmp_path: Path) -> None:
    told = of(case(tmp_path, conditions={"up{a='b'}  == 0": True, "x": False}), setting())
    assert told.ask("up{a='b'}\n== 0") is True
    assert told.ask("x") is False
    assert told.ask("y") is None


def test_evidence_is_numbered_masked_and_in_the_order_of_gathering(tmp_path: Path) -> None:
    given = {"metrics": "up: 1 0", "logs": "password=hunter2", "facts": "f", "history": "h"}
    told = of(case(tmp_path, evidence=given), setting())
    kinds = [item.kind for item in told.evidence]
    assert kinds == ["alert", "fact", "metric", "inventory", "history", "log", "runbook"]
    assert [item.number for item in told.evidence] == list(range(1, 8))
    assert "hunter2" not in str(told.evidence)


def like_restart(id: str, **changes: Any) -> Entry:
    base = SHIPPED.get("restart_service").model_dump(by_alias=True, exclude={"consider"})
    return Entry.model_validate(base | {"id": id} | changes)


@pytest.mark.parametrize(
    ("match", "word"),
    [
        (['alertname="ServiceDown"', 'service="app"', 'severity="critical"'], "too_broad was"),
        (list(SHIPPED.get("restart_service").match), "none_of_these was"),
    ],
)
def test_an_entry_that_steals_a_decision_is_named(
    tmp_path: Path, match: list[Any], word: str
) -> None:
    thief = like_restart("too_broad", match=match)
    schemas = {**SHIPPED.schemas, "too_broad": SHIPPED.schema("restart_service")}
    more = replace(SHIPPED, entries={**SHIPPED.entries, "too_broad": thief}, schemas=schemas)
    found = run(case(tmp_path), setting(more), rules_alone, decider="rules")
    assert found.stolen_by == ("too_broad",)
    assert word in found.failures[0]


def test_a_decision_that_was_always_wrong_is_stolen_by_nobody(tmp_path: Path) -> None:
    assert tried(tmp_path, expect={"entry": "clean_disk", "hosts": None}).stolen_by == ()


def test_repeats_are_all_kept(tmp_path: Path) -> None:
    answers = iter(["restart_service", None, "restart_service"])

    def moody(told: Briefing) -> CaseAnswer:
        decision = Decision(decider="model", entry=next(answers), reason="")
        return CaseAnswer(decision=decision, decisions=(decision,))

    found = run(case(tmp_path), setting(), moody, decider="model", repeat=3)
    assert [trial.said for trial in found.trials] == [
        "restart_service", "none_of_these", "restart_service",
    ]  # fmt: skip
    assert found.agreement == pytest.approx(2 / 3)
    assert found.failures


@pytest.mark.parametrize("alerts", [[], "two", [{"status": "firing"}]])
def test_a_body_needs_one_firing_alert(tmp_path: Path, alerts: Any) -> None:
    one = {"status": "firing", "labels": {"a": "b"}, "startsAt": "2026-01-01T00:00:00Z"}
    body = {"version": "4", "alerts": [one, one] if alerts == "two" else alerts}
    with pytest.raises(CatalogError, match="webhook"):
        of(case(tmp_path, alert=None, webhook=body), setting())


def test_an_inventory_that_is_not_there_names_the_case(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"one\.yml.*is not there"):
        of(case(tmp_path, inventory="nowhere"), setting())


def test_an_inventory_that_holds_itself_is_a_sentence(tmp_path: Path) -> None:
    text = "title: T\nalert: {labels: {alertname: A}}\nexpect: {entry: none_of_these}\n"
    path = write(tmp_path / "c.yml", text + "inventory: {web1: {a: &b [*b]}}\n")
    with pytest.raises((InventoryError, CatalogError)):
        of(load(path), setting())
