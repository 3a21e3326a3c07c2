"""Where the steps of a plan act: picked by name, healthy and free, or refused with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.catalog.entry import Place
from runner.errors import Refused
from runner.inventory import Host, Inventory
from runner.plan.places import TRIES, Option, Placed, options
from tests.policy_case import entry

GROUPS = {"storage": ("s1", "s2", "s3"), "pool": ("s5", "s4")}
VARIABLES = {"runner_spares": "pool", "runner_peers": "storage"}


def inventory(
    groups: Mapping[str, tuple[str, ...]] = GROUPS, variables: Mapping[str, Any] = VARIABLES
) -> Inventory:
    names = sorted({host for hosts in groups.values() for host in hosts})
    hosts = {name: Host(name=name, variables=variables) for name in names}
    return Inventory(hosts=MappingProxyType(hosts), groups=MappingProxyType(dict(groups)))


def steps(*places: Place) -> list[Placed]:
    return [Placed(entry=entry(), place=place, may_skip=False) for place in places]


def ways(*places: Place, **changes: Any) -> tuple[Option, ...]:
    asked: dict[str, Any] = {"healthy": None, "busy": ()} | changes
    return options(steps(*places), "s1", asked.pop("inventory", inventory()), **asked)


def test_spares_are_tried_by_name() -> None:
    found = [dict(way.places) for way in ways("spare", "target")]
    assert found == [{"target": "s1", "spare": "s4"}, {"target": "s1", "spare": "s5"}]


def test_who_acts_for_the_target_after_a_spare_joined_is_that_spare() -> None:
    assert [way.places["peer"] for way in ways("spare", "peer")] == ["s4", "s5"]


def test_a_peer_is_never_the_target() -> None:
    assert [way.places["peer"] for way in ways("peer", "target")] == ["s2", "s3"]


def test_a_number_stays_with_its_host_whoever_else_is_busy() -> None:
    """A dry run that a crash cut short is found again by it."""
    (way,) = ways("spare", busy={"s4"})
    assert (way.number, way.places["spare"]) == (1, "s5")


def test_a_plan_on_its_target_needs_no_groups() -> None:
    assert [dict(way.places) for way in ways("target", inventory=inventory(variables={}))] == [
        {"target": "s1"}
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"inventory": inventory(variables={})}, "s1 has no inventory variable runner_spares"),
        ({"inventory": inventory(variables={"runner_spares": "nope"})}, "is no inventory group"),
        ({"inventory": inventory(variables={"runner_spares": ["a"]})}, "is no inventory group"),
        ({"inventory": inventory({**GROUPS, "pool": ()})}, "the group is empty"),
        ({"busy": {"s4", "s5"}}, "another run is touching s4; another run is touching s5"),
        ({"healthy": {"s4": False, "s5": None}}, "s4 is not known to be healthy; s5 is not known"),
    ],
)
def test_without_a_spare_it_says_what_stood_against_each(
    changes: dict[str, Any], said: str
) -> None:
    """Invariant 10: where somebody could know, a host of unknown health is not taken."""
    with pytest.raises(Refused, match=said):
        ways("spare", **changes)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(st.sampled_from(get_args(Place)), min_size=1, max_size=4),
    st.sets(st.sampled_from(["s1", "s2", "s3", "s4", "s5"])),
    st.dictionaries(
        st.sampled_from(["s2", "s3", "s4", "s5"]), st.sampled_from([True, False, None])
    ),
)
def test_whatever_is_chosen_is_free_healthy_and_of_its_group(
    places: list[Place], busy: set[str], healthy: dict[str, bool | None]
) -> None:
    """Invariants 3 and 6: exact names of the inventory, or a refusal."""
    try:
        found = ways(*places, busy=busy, healthy=healthy)
    except Refused:
        return
    assert 1 <= len(found) <= TRIES
    for way in found:
        assert way.places["target"] == "s1" and set(places) <= set(way.places)
        for place in {"spare", "peer"} & set(way.places):
            host = way.places[place]
            assert host != "s1" and host not in busy and healthy.get(host) is True
