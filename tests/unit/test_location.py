"""From the labels of an alert to one inventory host, or to a person."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config import Locate
from runner.inventory import Inventory, parse
from runner.inventory.location import MOST, find

HOSTS: dict[str, dict[str, Any]] = {
    "web1": {"ansible_host": "192.0.2.1", "ip": "10.3.0.1"},
    "web2": {"ansible_host": "192.0.2.2", "access_ip": "10.3.0.2"},
    "mon1": {"private_dns_name": "ip-10-0-1-9.eu-west-1.compute.internal"},
    "here": {"private_ip_address": "10.0.9.9"},
    "there": {"ansible_host": "10.0.9.9"},
}


def inventory(**more: Any) -> Inventory:
    listing = {"_meta": {"hostvars": HOSTS | more}, "all": {"hosts": [*HOSTS, *more]}}
    return parse(json.dumps(listing))


KNOWN = inventory()


def hosts(*, first: tuple[str, ...] = (), **labels: str) -> tuple[str, ...]:
    return find(labels, KNOWN, Locate(), first=first).hosts


def doubts(*, first: tuple[str, ...] = (), **labels: str) -> list[str]:
    place = find(labels, KNOWN, Locate(), first=first)
    return place.doubts(place.hosts)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("10.3.0.1:9100", "web1"),
        ("10.3.0.2:9100", "web2"),
        ("ip-10-0-1-9.eu-west-1.compute.internal:9100", "mon1"),
        ("ip-10-0-1-9", "mon1"),
    ],
)
def test_further_variables_name_a_host(text: str, host: str) -> None:
    assert hosts(instance=text) == (host,)
    assert not doubts(instance=text)


@pytest.mark.parametrize(
    "text",
    ["10.0.9.9:9100", "web1.eu-west-1.compute.internal:9100", "https://web1:99999/",
     "https://elsewhere.test\\@web1/", "[::1]:9100"],
)  # fmt: skip
def test_what_two_hosts_have_or_readers_differ_about_names_nobody(text: str) -> None:
    """Also: the domain of a cloud's name is not cut off names of ours."""
    assert hosts(instance=text) == ()


def test_the_first_label_that_names_a_host_counts() -> None:
    assert hosts(instance="10.9.9.9:80", node="web1", host="web1") == ("web1",)
    assert hosts(instance="10.9.9.9:80", node="rabbit@web2") == ("web2",)
    assert hosts(server="web2") == ("web2",)
    assert hosts(prometheus="mon1", cluster="web1", pod="web1") == ()


def test_labels_that_name_different_hosts_need_a_person() -> None:
    assert hosts(instance="web1", node="web2") == ("web1",)
    assert doubts(instance="web1", node="web2") == ['The label node="web2" names web2, not web1']
    assert not doubts(instance="web1", node="web1", hostname="unknown")


def test_a_label_that_fits_several_hosts_is_settled_by_another() -> None:
    labels = {"instance": "10.0.9.9:9100", "host": "there"}
    assert (hosts(**labels), doubts(**labels)) == (("there",), [])
    assert doubts(instance="10.0.9.9:9100", host="web1") == [
        'The label instance="10.0.9.9:9100" names here or there, not web1'
    ]


def test_the_label_that_an_entry_goes_by_comes_before_what_was_scraped() -> None:
    labels = {"instance": "mon1:9100", "member": "web2"}
    assert hosts(**labels) == ("mon1",)
    assert hosts(first=("member",), **labels) == ("web2",)
    assert doubts(first=("member",), **labels) == []
    assert doubts(first=("member",), node="web1", **labels)


@pytest.mark.parametrize("job", ["consul", "ceph-exporter", "Pushgateway", "my_cloudwatch"])
def test_instance_is_not_meant_where_an_exporter_tells_of_others(job: str) -> None:
    place = find({"instance": "mon1:9107", "job": job}, KNOWN, Locate())
    assert place.hosts == ()
    (told,) = place.candidates
    assert (told.hosts, told.meant) == (("mon1",), False)
    assert "tells of other hosts" in place.reason
    labels = {"instance": "mon1:9107", "job": job, "node": "web2"}
    assert (hosts(**labels), doubts(**labels)) == (("web2",), [])


def test_instance_is_what_is_probed_unless_it_has_a_port_of_exporters() -> None:
    for probed in ("web1", "192.0.2.1", "https://web1:9443/", "web1:443", "web1:5432"):
        assert hosts(instance=probed, job="blackbox-tcp") == ("web1",)
    assert hosts(instance="mon1:9115", job="blackbox-tcp") == ()
    assert hosts(instance="mon1:9115", job="shipping") == ("mon1",), "ping is no word of it"
    assert hosts(instance="mon1:9115", job="blackbox", target="https://web2/") == ("web2",)


def test_candidates_are_bounded() -> None:
    labels = {f"label_{number}": "web1" for number in range(40)}
    place = find(labels, KNOWN, Locate(), first=tuple(labels))
    assert len(place.candidates) == MOST


NAMES = st.sampled_from(["instance", "host", "node", "target", "job", "pod", "prometheus"])


@given(st.dictionaries(NAMES, st.sampled_from([*HOSTS, "blackbox", "10.0.9.9", "x"]) | st.text()))
def test_an_answer_is_one_exact_host_that_a_label_of_hosts_names(labels: dict[str, str]) -> None:
    """Invariant 6: and it never comes from a job, a pod or who asked."""
    place = find(labels, KNOWN, Locate())
    assert len(place.hosts) <= 1
    for host in place.hosts:
        assert KNOWN.exact(host)
        assert any(
            host in find({name: text}, KNOWN, Locate()).hosts for name, text in labels.items()
        )
    kept = {name: text for name, text in labels.items() if name not in ("pod", "prometheus")}
    assert find(kept, KNOWN, Locate()).hosts == place.hosts
