"""Ceilings: every source of a ceiling speaks, and the least of them counts."""

from __future__ import annotations

import pytest

from runner.config import Config
from runner.incident import Level, Reason
from runner.policy import ceilings, judge
from tests.policy_case import case, entry, only


@pytest.mark.parametrize("level", list(Level))
def test_it_obeys_the_configuration(level: Level) -> None:
    verdict = judge(case(config=Config(level=level)))
    assert verdict.level is level
    limit = "No limit" if level is Level.AUTO else f"Limited to {level}"
    assert f"{limit} by `level:` in runner.yml." in [r.text for r in verdict.reasons]


@pytest.mark.parametrize("level", list(Level))
def test_it_obeys_the_command_line(level: Level) -> None:
    assert judge(case(ceiling=level)).level is level


@pytest.mark.parametrize("level", list(Level))
def test_it_obeys_the_entry(level: Level) -> None:
    assert judge(case(entry=entry(level=level))).level is level


@pytest.mark.parametrize("level", list(Level))
def test_it_obeys_what_was_earned(level: Level) -> None:
    earned = Reason(rule="earned", level=level, text="Fixed 9 of 10.")
    verdict = judge(case(earned=earned))
    assert verdict.level is level
    assert earned in verdict.reasons


@pytest.mark.parametrize("level", list(Level))
def test_it_obeys_the_level_of_a_host(level: Level) -> None:
    variables = {"web1": {"runner_level": str(level)}}
    assert judge(case(variables=variables)).level is level


def test_it_takes_the_least_level_of_all_touched_hosts() -> None:
    variables = {"web1": {"runner_level": "auto"}, "lb1": {"runner_level": "dry-run"}}
    reason = only(ceilings.hosts, case(touched=("web1", "lb1"), variables=variables))
    assert (reason.level, reason.text) == (
        Level.DRY_RUN,
        "Limited to dry-run by runner_level of lb1.",
    )


@pytest.mark.parametrize("value", ["AUTO", "yes", "", None, True, 3, ["auto"], {"auto": 1}])
def test_it_observes_when_a_host_level_is_no_level(value: object) -> None:
    reason = only(ceilings.hosts, case(variables={"web1": {"runner_level": value}}))
    assert reason.level is Level.OBSERVE
    assert "none of observe, dry-run, approve, auto" in reason.text


def test_it_says_so_when_no_host_limits() -> None:
    reason = only(ceilings.hosts, case())
    assert reason.level is Level.AUTO
    assert "no host" in reason.text


def test_it_asks_when_a_touched_host_is_not_in_the_inventory() -> None:
    """Invariant 10: what an unknown host allows is unknown, not auto."""
    reason = only(ceilings.hosts, case(touched=("web1", "elsewhere")))
    assert reason.level is Level.APPROVE
    assert "elsewhere is not in the inventory" in reason.text


def test_it_observes_while_paused() -> None:
    verdict = judge(case(paused="by ann: network work"))
    assert verdict.level is Level.OBSERVE
    assert verdict.limiting[0].text == "The runner is paused: by ann: network work."


def test_it_is_silent_about_a_pause_that_is_not() -> None:
    assert list(ceilings.pause(case())) == []
    assert list(ceilings.earned(case())) == []


@pytest.mark.parametrize("connection", ["winrm", "psrp", "ansible.netcommon.network_cli"])
def test_nothing_runs_over_a_connection_that_could_not_be_tried(connection: str) -> None:
    reason = only(ceilings.hosts, case(variables={"web1": {"ansible_connection": connection}}))
    assert reason.level is Level.OBSERVE
    assert reason.text.startswith(f"Nothing runs on web1: connection {connection} is for ")


@pytest.mark.parametrize("connection", ["ssh", "local", "community.docker.docker", None, 3, []])
def test_other_connections_limit_nothing(connection: object) -> None:
    reason = only(ceilings.hosts, case(variables={"web1": {"ansible_connection": connection}}))
    assert reason.level is Level.AUTO


def test_a_person_is_asked_where_an_inventory_source_is_missing() -> None:
    doubts = {"web1": "The source cannot be read.", "web9": "Not within reach."}
    reason = only(ceilings.unread, case(doubts=doubts))
    assert (reason.rule, reason.level, reason.text) == (
        "inventory", Level.APPROVE, "The source cannot be read."
    )  # fmt: skip
