"""Blast radius and capacity: invariant 11 and what is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.incident import Level
from runner.policy import Situation, judge, radius
from runner.policy.capacity import capacity, needed
from tests.policy_case import case, config, entry, only

WEB = ("web1", "web2", "web3")


def group(minimum: object, *, size: int = 3, **changes: Any) -> Situation:
    """web1 is to be touched; all `size` web hosts carry `runner_min_available`."""
    hosts = tuple(f"web{number}" for number in range(1, size + 1))
    variables = {host: {"runner_min_available": minimum} for host in hosts}
    given: dict[str, Any] = {"variables": variables, "groups": {"web": hosts}}
    return case(**(given | changes))


def test_it_does_a_dry_run_of_a_plan_with_more_hosts_than_the_entry_allows() -> None:
    reason = only(radius.max_hosts, case(hosts=("web1", "web2"), touched=("web1", "web2")))
    assert reason.level is Level.DRY_RUN
    assert reason.text == "The plan has 2 hosts; entry service_restart allows 1."


def test_it_does_a_dry_run_of_when_delegates_exceed_the_policy() -> None:
    reason = only(
        radius.max_hosts, case(config=config(max_hosts=2), touched=("web1", "web2", "web3"))
    )
    assert reason.level is Level.DRY_RUN
    assert "3 hosts; policy.max_hosts is 2" in reason.text


def test_it_counts_a_host_once() -> None:
    wide = entry(target={"max_hosts": 1})
    assert list(radius.max_hosts(case(entry=wide, hosts=("web1", "web1")))) == []


def test_it_never_acts_on_no_hosts() -> None:
    """Invariant 6: an empty plan is nothing to run."""
    assert judge(case(hosts=(), touched=())).level is Level.OBSERVE


def test_it_does_a_dry_run_of_two_failure_domains_at_once() -> None:
    """Invariant 11: two failure domains do not start, delegation included."""
    variables = {"web1": {"runner_failure_domain": "a"}, "lb1": {"runner_failure_domain": "b"}}
    reason = only(radius.failure_domains, case(touched=("web1", "lb1"), variables=variables))
    assert reason.level is Level.DRY_RUN
    assert reason.text == "The run would touch 2 failure domains at once: a, b."


def test_it_asks_when_one_failure_domain_is_missing() -> None:
    """Invariant 10: a missing failure domain is unknown."""
    variables: dict[str, dict[str, object]] = {"web1": {"runner_failure_domain": 1}, "web2": {}}
    reason = only(radius.failure_domains, case(touched=("web1", "web2"), variables=variables))
    assert reason.level is Level.APPROVE
    assert "web2 set no runner_failure_domain" in reason.text


@pytest.mark.parametrize("domains", [(1, 1), ("a", "a"), (None, None)])
def test_it_lets_one_failure_domain_through(domains: tuple[object, object]) -> None:
    names = zip(("web1", "web2"), domains, strict=True)
    variables = {host: {"runner_failure_domain": domain} for host, domain in names}
    assert list(radius.failure_domains(case(touched=("web1", "web2"), variables=variables))) == []


def test_it_asks_when_the_radius_is_not_known() -> None:
    sentences = ("delegate_to is a template in tasks/main.yml.", "add_host is used.")
    reasons = list(radius.unknown_radius(case(unknown_radius=sentences)))
    assert [reason.level for reason in reasons] == [Level.APPROVE] * 2
    assert "add_host is used." in reasons[1].text


@pytest.mark.parametrize(
    ("value", "size", "hosts"),
    [
        (2, 3, 2),
        ("2", 3, 2),
        ("50%", 3, 2),
        ("50 %", 4, 2),
        ("100%", 3, 3),
        ("0%", 3, 0),
        ("1%", 3, 1),
        (0, 3, 0),
        (5, 3, 5),
        ("101%", 3, None),
        ("-1", 3, None),
        ("half", 3, None),
        (True, 3, None),
        (None, 3, None),
        ("", 3, None),
        (1.5, 3, None),
        ([2], 3, None),
    ],
)
def test_it_reads_a_count_or_a_share(value: object, size: int, hosts: int | None) -> None:
    assert needed(value, size) == hosts


HEALTHY = dict.fromkeys(WEB, True)


@pytest.mark.parametrize(
    ("minimum", "changes", "starts"),
    [
        (2, {"healthy": HEALTHY}, True),
        (3, {"healthy": HEALTHY}, False),
        ("50%", {"healthy": HEALTHY}, True),
        ("67%", {"healthy": HEALTHY}, False),
        (2, {"healthy": HEALTHY | {"web2": False}}, False),
        (2, {"healthy": HEALTHY | {"web2": None}}, False),
        (2, {"healthy": {"web1": True, "web2": True}}, False),
        (1, {"healthy": HEALTHY | {"web2": False}}, True),
        (2, {"healthy": HEALTHY, "busy": frozenset({"web3"})}, False),
        (2, {"healthy": HEALTHY, "busy": frozenset({"db1"})}, True),
        (2, {"healthy": HEALTHY | {"web1": False}}, True),
        (3, {"healthy": HEALTHY | {"web1": False}}, True),
        (3, {"healthy": HEALTHY | {"web1": None}}, False),
        (0, {"healthy": {}}, True),
    ],
)
def test_it_keeps_enough_healthy_hosts(
    minimum: object, changes: dict[str, Any], starts: bool
) -> None:
    """Invariant 11: fewer than runner_min_available healthy hosts does not start.

    Invariant 10: health that a configured source does not know counts as gone.
    """
    reasons = list(capacity(group(minimum, **changes)))
    assert [reason.level for reason in reasons] == ([] if starts else [Level.DRY_RUN])


def test_it_counts_greylisted_hosts_as_gone() -> None:
    """Invariant 11: nodes with early signs do not count as capacity."""
    groups = {"web": WEB, "greylisted": ("web3",)}
    (reason,) = capacity(group(2, healthy=HEALTHY, groups=groups))
    assert reason.level is Level.DRY_RUN
    assert reason.text == (
        "Group web would keep 1 of 3 hosts, needs 2: 1 in this run, 0 in other runs, "
        "0 unhealthy or of unknown health, 1 greylisted."
    )


def test_it_says_when_there_is_no_health_source() -> None:
    """Invariant 10: without a source only known facts count, and that is said."""
    (reason,) = capacity(group(2, healthy=None))
    assert reason.level is Level.AUTO
    assert "No health source is configured" in reason.text


def test_a_mixed_plan_still_reduces_the_group() -> None:
    """Invariant 11: one broken host in the plan does not excuse a healthy one."""
    given = group(2, healthy=HEALTHY | {"web1": False}, hosts=("web1", "web2"))
    assert [reason.level for reason in capacity(given)] == [Level.DRY_RUN]


def test_the_greatest_of_differing_values_counts() -> None:
    variables = {host: {"runner_min_available": n} for n, host in enumerate(WEB, start=1)}
    assert [r.level for r in capacity(group(1, healthy=HEALTHY, variables=variables))] == [
        Level.DRY_RUN
    ]


def test_a_mapping_names_its_group() -> None:
    variables: dict[str, Any] = {host: {} for host in WEB}
    variables["web2"] = {"runner_min_available": {"web": 3}}
    groups = {"all": WEB, "web": WEB, "canary": ("web1",)}
    reason = only(capacity, group(0, healthy=HEALTHY, variables=variables, groups=groups))
    assert reason.text.startswith("Group web would keep 2 of 3 hosts, needs 3")


def test_it_does_not_start_when_the_value_cannot_be_read() -> None:
    reason = only(capacity, group("most", healthy=HEALTHY))
    assert reason.level is Level.DRY_RUN
    assert "'most'" in reason.text


def test_it_asks_when_only_one_host_of_a_group_sets_it() -> None:
    """Invariant 10: a minimum that belongs to no group is not ignored."""
    variables = {"web1": {"runner_min_available": 2}, "web2": {}, "web3": {}}
    reason = only(capacity, group(2, healthy=HEALTHY, variables=variables))
    assert reason.level is Level.APPROVE


def test_groups_that_are_not_touched_do_not_matter() -> None:
    groups = {"web": WEB, "db": ("db1",)}
    variables = {host: {"runner_min_available": 9} for host in ("db1",)}
    assert list(capacity(group(0, groups=groups, variables=variables))) == []


def test_a_variable_greylists_a_host_like_the_group() -> None:
    """Invariant 11: nodes with early signs do not count as capacity, however they are marked."""
    variables = {host: {"runner_min_available": 2} for host in WEB}
    variables["web3"] |= {"runner_greylisted": True}
    reason = only(capacity, group(2, healthy=HEALTHY, variables=variables))
    assert "1 greylisted" in reason.text
    variables["web3"] |= {"runner_greylisted": False}
    assert list(capacity(group(2, healthy=HEALTHY, variables=variables))) == []


def test_the_group_of_everything_is_told_once() -> None:
    """Invariant 11: its own minimum counts even where another group has the same hosts."""
    groups = {"all": WEB, "web": WEB}
    same = group(2, healthy=HEALTHY, groups=groups)
    assert [reach.group for reach in radius.measure(same).groups] == ["web"]
    variables: dict[str, Any] = {host: {"runner_min_available": {"all": 3}} for host in WEB}
    reason = only(capacity, group(0, healthy=HEALTHY, groups=groups, variables=variables))
    assert reason.text.startswith("Group all would keep 2 of 3 hosts, needs 3")


def test_the_radius_is_measured_from_what_the_rules_judge() -> None:
    variables: dict[str, Any] = {
        host: {"runner_min_available": 2, "runner_failure_domain": "r2"} for host in WEB
    }
    groups = {"all": (*WEB, "lb1"), "web": WEB, "ungrouped": (), "lb": ("lb1",)}
    given = group(2, healthy=HEALTHY, variables=variables, groups=groups, touched=("web1", "lb1"))
    found = radius.measure(given)
    assert (found.hosts, found.delegates, found.domains) == (("web1",), ("lb1",), ("r2",))
    assert [(reach.group, reach.left, reach.needed) for reach in found.groups] == [
        ("web", 2, 2),
        ("lb", 0, None),
    ]


HOSTS = tuple(f"n{number}" for number in range(6))


@st.composite
def fleets(draw: st.DrawFn) -> Situation:
    """A plan somewhere in a small fleet of which anything may be down, busy or greylisted."""
    groups = {name: tuple(draw(st.sets(st.sampled_from(HOSTS), max_size=6))) for name in ("a", "b")}
    groups["all"] = HOSTS
    minimum = st.one_of(st.integers(0, 6), st.integers(0, 100).map(lambda share: f"{share}%"))
    variables: dict[str, dict[str, Any]] = {host: {} for host in HOSTS}
    for name, members in groups.items():
        if draw(st.booleans()):
            value = draw(minimum)
            for host in members:
                variables[host].setdefault("runner_min_available", {})[name] = value
    some = st.sets(st.sampled_from(HOSTS))
    reach = tuple(draw(st.sets(st.sampled_from(HOSTS), min_size=1, max_size=3)))
    return case(
        hosts=reach[:1],
        touched=reach,
        variables=variables,
        groups=groups | {"greylisted": tuple(draw(some))},
        healthy={host: draw(st.sampled_from([True, False, None])) for host in HOSTS},
        busy=frozenset(draw(some)),
        config=config(max_hosts=6),
    )


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(fleet=fleets())
def test_no_plan_that_leaves_too_few_is_let_through(fleet: Situation) -> None:
    """Invariant 11, counted once more by hand: who is up, free, not marked and not touched."""
    through = judge(fleet).level.rank >= Level.APPROVE.rank
    health, touched = fleet.healthy or {}, set(fleet.reach)
    gone = touched | fleet.busy | set(fleet.groups["greylisted"])
    for name in ("a", "b", "all"):
        members = set(fleet.groups[name])
        asked = [fleet.variables[host].get("runner_min_available", {}) for host in members]
        counts = [needed(value[name], len(members)) or 0 for value in asked if name in value]
        left = {host for host in members - gone if health[host] is True}
        takes = any(health[host] is not False for host in members & touched)
        if counts and takes and len(left) < max(counts):
            assert not through, (name, left, counts)
    assert radius.measure(fleet).crowded(()) is any(
        reason.rule == "capacity" and reason.level is Level.DRY_RUN for reason in capacity(fleet)
    )


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(fleet=fleets(), more=st.sets(st.sampled_from(HOSTS)))
def test_more_hosts_in_other_runs_never_make_room(fleet: Situation, more: set[str]) -> None:
    """Invariant 11: the look under the lock is the same as policy's, with more hosts gone."""
    measured = radius.measure(replace(fleet, busy=frozenset()))
    later = radius.measure(replace(fleet, busy=frozenset(more)))
    assert measured.crowded(more) is later.crowded(())
    assert not measured.crowded(()) or measured.crowded(more)
