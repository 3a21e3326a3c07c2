"""The table of services in the inventory, and which unit of a host an alert means."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config import Locate
from runner.inventory import Inventory, parse
from runner.inventory.location import find
from runner.inventory.services import Services, mount_point

TABLE: dict[str, Any] = {
    "nginx": {"unit": "nginx.service", "group": "web", "alerts": ["NginxDown"], "jobs": ["nginx"]},
    "one": {"unit": "redis@6379.service", "hosts": ["web1"], "ask": "redis://localhost:6379",
            "alerts": ["RedisDown"]},
    "two": {"unit": "redis@6380.service", "hosts": ["web1"], "ask": "redis://localhost:6380",
            "alerts": ["RedisDown"]},
    "queue": {"unit": "queue@{id}.service", "hosts": ["web2"], "queues": ["mails"]},
    "database": {"unit": "postgresql.service", "started_by": "patroni", "hosts": ["db1"],
                 "alerts": ["DbDown"], "processes": ["postgres"]},
    "page": {"unit": "shop.service", "hosts": ["web2"], "checks": ["https://shop.example.com/"]},
    "mailer": {"unit": "mailer", "started_by": "supervisord", "hosts": ["web2"]},
}  # fmt: skip


def inventory(table: Any = TABLE) -> Inventory:
    hosts = ["web1", "web2", "db1"]
    listing = {
        "_meta": {"hostvars": {host: {"runner_services": table} for host in hosts}},
        "all": {"hosts": hosts},
        "web": {"hosts": ["web1", "web2"]},
    }
    return parse(json.dumps(listing))


KNOWN = inventory()


def unit(host: str, **labels: str) -> str | None:
    return KNOWN.services.meant(labels, host).unit


def test_an_alert_means_the_service_of_its_host_only() -> None:
    assert unit("web1", alertname="NginxDown") == "nginx.service"
    assert unit("db1", alertname="NginxDown") is None
    assert unit("web1", alertname="Other") is None, "never the first of a host"


def test_of_two_services_the_address_or_the_label_tells() -> None:
    assert unit("web1", alertname="RedisDown") is None
    assert unit("web1", alertname="RedisDown", instance="web1:9121") is None
    asked = unit("web1", alertname="RedisDown", instance="redis://web1:6380")
    assert asked == "redis@6380.service"
    assert unit("web1", alertname="RedisDown", service="one") == "redis@6379.service"


def test_a_job_counts_only_where_its_own_target_is_down() -> None:
    assert unit("web1", alertname="TargetDown", job="nginx") == "nginx.service"
    assert unit("web1", alertname="NginxSlow", job="nginx") is None


def test_what_another_program_starts_is_no_unit_even_if_a_label_names_it() -> None:
    assert unit("db1", alertname="DbDown") is None
    assert unit("db1", groupname="postgres") is None
    assert unit("db1", name="postgresql.service") is None
    assert unit("web1", name="postgresql.service") == "postgresql.service", "not of this host"
    assert "started by patroni" in KNOWN.services.meant({"alertname": "DbDown"}, "db1").why


@pytest.mark.parametrize("id", ["", "../x", "-x", "a b", "{{ x }}", "a" * 65, "x\n", "$(id)"])
def test_only_a_plain_word_fills_a_template(id: str) -> None:
    """Invariant 5."""
    assert unit("web2", queue="mails", id="7") == "queue@7.service"
    assert unit("web2", queue="mails", id=id) is None


def test_the_service_that_was_scraped_is_no_unit() -> None:
    scraped = {"service": "nginx", "namespace": "monitoring"}
    assert unit("web1", **scraped) is None
    assert unit("web1", service="nginx", name="backup.service") == "backup.service"
    assert unit("web1", service="nginx") == "nginx.service"


@pytest.mark.parametrize("name", ["a.scope", "reboot.target", "--now.service", "x y.service"])
def test_a_label_that_names_no_startable_unit_ends_the_search(name: str) -> None:
    assert unit("web1", alertname="NginxDown", name=name) is None


def test_a_program_of_supervisord_is_known_by_the_table_only() -> None:
    assert unit("web2", name="mailer") == "mailer"
    assert unit("web2", name="mailer", image="mailer:1") is None
    assert unit("web1", name="mailer") is None


def test_without_any_table_the_label_service_is_the_unit() -> None:
    services = Services()
    assert services.meant({"service": "shop"}, "web1").unit == "shop"
    assert services.meant({"service": "shop", "pod": "x"}, "web1").unit is None
    assert services.meant({"service": "shop; reboot"}, "web1").unit is None


def located(**labels: str) -> tuple[str, ...]:
    return find(labels, KNOWN, Locate()).hosts


def test_a_service_of_one_host_is_found_without_a_label_of_hosts() -> None:
    assert located(alertname="DbDown") == ("db1",)
    assert located(service="page") == ("web2",)
    assert located(alertname="NginxDown") == (), "it has two hosts"
    assert located(alertname="DbDown", instance="elsewhere:80") == (), "a label says otherwise"
    assert located(alertname="TargetDown", job="nginx") == (), "a count over targets"


def test_a_check_is_of_the_host_that_the_table_says() -> None:
    page = "https://shop.example.com/"
    labels = {"alertname": "ProbeFailed", "job": "blackbox", "instance": page}
    assert located(**labels) == ("web2",)
    assert unit("web2", **labels) == "shop.service"
    labels |= {"instance": "web1:9115", "target": page}
    assert located(**labels) == ("web2",), "web1 is the prober"


def test_an_exporter_that_is_down_itself_is_meant() -> None:
    table = {"prober": {"unit": "blackbox.service", "hosts": ["web1"], "jobs": ["blackbox"]}}
    labels = {"job": "blackbox", "instance": "web1:9115"}
    for name, hosts in (("BlackboxExporterDown", ("web1",)), ("ProbeFailed", ())):
        place = find(labels | {"alertname": name}, inventory(table), Locate())
        assert place.hosts == hosts


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([], "is not a mapping"),
        ({"a": "x.service"}, "must be a mapping with unit"),
        ({"a": {}}, "unit"),
        ({"a": {"unit": "x", "alert": ["A"]}}, "alert"),
        ({"a": {"unit": "{{ x }}"}}, "is a template"),
        ({"a": {"unit": "x; reboot"}}, "is no name of a unit"),
        ({"a": {"unit": "x", "group": "none"}}, "has no group 'none'"),
        ({"a": {"unit": "x", "hosts": ["none"]}}, "has no host 'none'"),
        ({"a": {"unit": "x", "hosts": ["db1"], "group": "web"}}, "either hosts or group"),
    ],
)
def test_what_cannot_be_understood_is_said_once_and_left_out(table: Any, words: str) -> None:
    services = inventory(table).services
    assert services.all == ()
    assert any(words in problem for problem in services.problems), services.problems
    assert len(services.problems) == (3 if table == [] else 1)


def test_a_service_that_names_no_host_runs_where_its_table_is() -> None:
    hosts = {"a": {"runner_services": {"x": {"unit": "x.service", "alerts": ["Down"]}}}, "b": {}}
    services = Services.of(hosts, {})
    assert services.meant({"alertname": "Down"}, "a").unit == "x.service"
    assert services.meant({"alertname": "Down"}, "b").unit is None


def test_all_hosts_of_a_plan_must_mean_the_same_unit() -> None:
    labels = {"alertname": "NginxDown"}
    assert KNOWN.services.meant_on(labels, ["web1", "web2"]).unit == "nginx.service"
    assert KNOWN.services.meant_on(labels, ["web1", "db1"]).unit is None
    assert KNOWN.services.meant_on(labels, []).unit is None


@pytest.mark.parametrize(
    ("text", "path"),
    [("/", "/"), ("/srv/data", "/srv/data"), ("/srv/data/", "/srv/data"), ("/srv/../etc", None),
     ("../", None), ("/a//b", None), ("/a\n", None), ("{{ '/' }}", None), ("", None),
     ("/a b", None), ("C:", None), ("/a/./b", None)],
)  # fmt: skip
def test_a_mount_point_is_a_plain_absolute_path(text: str, path: str | None) -> None:
    assert mount_point({"mountpoint": text}) == path


WORDS = st.sampled_from(
    ["nginx", "one", "NginxDown", "RedisDown", "DbDown", "mails", "7", "TargetDown", "postgres",
     "redis://web1:6380", "nginx.service", "mailer", "https://shop.example.com/"]
) | st.text(max_size=20)  # fmt: skip
LABELS = st.sampled_from(
    ["alertname", "service", "name", "unit", "job", "groupname", "queue", "id", "instance", "pod"]
)


@given(st.dictionaries(LABELS, WORDS), st.sampled_from(["web1", "web2", "db1"]))
def test_a_unit_is_of_this_host_or_named_whole_by_a_label(
    labels: dict[str, str], host: str
) -> None:
    """Invariant 5: and it is never anything but the plain name of one."""
    found = unit(host, **labels)
    if found is None:
        return
    assert found.isascii() and not set(found) & set(" \n;{}$|&/")
    own = {
        one.unit.replace("{id}", labels.get("id", ""))
        for one in KNOWN.services.all
        if host in one.hosts and one.started_by != "patroni"
    }
    assert found in own | {labels.get("name"), labels.get("unit")}
