"""The inventory as data, and from labels to exact host names."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runner import inventory as module
from runner.errors import InventoryError
from runner.inventory import Inventory, parse
from runner.inventory import reader as reading
from runner.inventory.location import locate
from runner.inventory.reader import InventoryReader

BESIDE = Path(sys.executable).with_name("ansible-inventory")
real = pytest.mark.real
DAY = timedelta(days=1)
INPUTS = Path(__file__).parents[1] / "inputs"


def _parsed(hosts: Mapping[str, Mapping[str, Any]], **groups: Any) -> Inventory:
    listing = {"_meta": {"hostvars": hosts}, "all": {"hosts": list(hosts)}} | groups
    return parse(json.dumps(listing))


WEB = _parsed(
    {
        "web1": {"ansible_host": "192.0.2.1"},
        "web2": {"ansible_host": "192.0.2.2", "runner_aliases": ["shop", "127.0.0.1:9102"]},
        "db1.example.com": {"ansible_host": "2001:db8::1"},
        "twin-a": {"ansible_host": "192.0.2.9"},
        "twin-b": {"ansible_host": "192.0.2.9"},
        "app.example.com": {},
        "app.example.org": {},
        "database": {"ansible_host": "192.0.2.50"},
        "we*": {"ansible_host": "192.0.2.51"},
    },
    web={"hosts": ["web1", "web2"]},
    database={"hosts": ["db1.example.com"]},
)


def _locate(text: str, inventory: Inventory = WEB) -> tuple[str, ...]:
    return locate({"instance": text}, "instance", inventory).hosts


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("web1", "web1"),
        ("web1:9100", "web1"),
        ("WEB1:9100", "web1"),
        ("web1.example.com:9100", "web1"),
        ("web1.example.com.", "web1"),
        ("http://web1:80/x?y=1#z", "web1"),
        ("https://user:word@web1/", "web1"),
        ("192.0.2.1:9100", "web1"),
        ("::ffff:192.0.2.1", "web1"),
        ("shop:443", "web2"),
        ("127.0.0.1:9102", "web2"),
        ("db1", "db1.example.com"),
        ("2001:db8::1", "db1.example.com"),
        ("[2001:db8:0:0::1]:9100", "db1.example.com"),
        ("http://[2001:db8::1]:9100/metrics", "db1.example.com"),
        ("app.example.org:80", "app.example.org"),
    ],
)
def test_it_locates_a_host(text: str, host: str) -> None:
    assert _locate(text) == (host,)


@pytest.mark.parametrize(
    "text",
    ["", "web", "web*", "web?", "web[1:2]", "web1,web2", "web1:web2", "web1:!web2", "web1 web2",
     "all", "*", "~web.*", "@web1", "@/etc/passwd", "!web1", "ungrouped", "localhost",
     "localhost:9100", "127.0.0.1", "127.0.0.1:9100", "::1", "database", "we*", "192.0.2.50",
     "db1.example.org", "web1/../web2", "web1\n", "web1:99999999", "http://", "http://[::1",
     "://web1", "a" * 100_000, "\x00", "\uff57\uff45\uff421", "{{ web1 }}"],
)  # fmt: skip
def test_it_locates_nothing_else(text: str) -> None:
    """Invariant 5: no text is a pattern, a group, a list or a file."""
    location = locate({"instance": text}, "instance", WEB)
    assert location.hosts == ()
    assert location.reason.endswith(".")


@pytest.mark.parametrize("text", ["192.0.2.9:9100", "app", "app:80"])
def test_a_text_that_fits_several_hosts_locates_none(text: str) -> None:
    """Invariant 6: an ambiguous label is for a person."""
    location = locate({"instance": text}, "instance", WEB)
    assert location.hosts == ()
    assert "matches several inventory hosts" in location.reason


def test_two_domains_are_two_hosts() -> None:
    assert _locate("app.example.net") == ()


def test_an_exact_name_wins_over_an_alias_of_another_host() -> None:
    inventory = _parsed({"a": {"runner_aliases": ["b"]}, "b": {}})
    assert _locate("b", inventory) == ("b",)


@pytest.mark.parametrize(
    "text",
    ["localhost:9100", "localhost", "LOCALHOST", "localhost.localdomain", "prom.localhost",
     "ip6-localhost", "127.0.0.1:9100", "127.8.7.6", "::1", "[::1]:9100", "::ffff:127.0.0.1",
     "0.0.0.0:9100", "http://localhost:9100/metrics", "localhost.example.com"],
)  # fmt: skip
def test_a_loopback_name_is_nobody(text: str) -> None:
    """Invariant 6: whoever says localhost means himself, and that is not the runner's machine."""
    inventory = _parsed(
        {
            "localhost": {"ansible_connection": "local"},
            "vagrant": {"ansible_host": "127.0.0.1", "ansible_port": 2222},
            "web1.example.com": {},
        }
    )
    location = locate({"instance": text}, "instance", inventory)
    assert location.hosts == ()
    assert "runner_aliases" in location.reason


def test_a_loopback_name_is_the_host_whose_alias_it_is() -> None:
    inventory = _parsed({"prom1": {"runner_aliases": ["localhost", "127.0.0.1:9102"]}, "b": {}})
    assert _locate("localhost:9100", inventory) == ("prom1",)
    assert _locate("127.0.0.1:9102", inventory) == ("prom1",)
    assert _locate("127.0.0.1:9103", inventory) == ()


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("web1.example.net:9100", "web1"),  # named in project.domains
        ("web1.example.com", "web1"),  # the domain of another inventory name
        ("shop.example.org:443", "web1"),  # an alias with the domain of an alias
        ("web1.evil.example.net", None),
        ("web1.attacker.test:9100", None),
        ("web1.com", None),
        ("db1.example.net", None),
        ("db1.evil.test", None),  # though `db1` is an alias of it
    ],
)
def test_only_a_known_domain_may_be_cut_off(text: str, host: str | None) -> None:
    """Invariant 6: web1 in a domain of somebody else's is not our web1."""
    listing = {
        "web1": {"runner_aliases": ["shop", "www.example.org"]},
        "db1.example.com": {"runner_aliases": ["db1"]},
    }
    inventory = replace(_parsed(listing), domains=frozenset({"Example.net."}))
    if text.startswith("db1.example.net"):
        inventory = replace(inventory, domains=frozenset())
    location = locate({"instance": text}, "instance", inventory)
    assert location.hosts == ((host,) if host else ())
    if host is None:
        assert "project.domains" in location.reason


@given(st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8}){1,3}", fullmatch=True))
def test_no_foreign_domain_leads_to_a_host(domain: str) -> None:
    """Invariant 6."""
    assume(domain not in ("example.com", "example.org"))
    assert _locate(f"web1.{domain}") == ()


@pytest.mark.parametrize("name", ["database", "we*", "all", "web", "nowhere", ""])
def test_a_name_that_ansible_could_take_for_more_is_not_exact(name: str) -> None:
    """Invariant 6: a host that is called like a group would select the group."""
    assert WEB.exact("web1")
    assert not WEB.exact(name)


def test_it_says_how_it_found_the_host() -> None:
    location = locate({"instance": "192.0.2.1:9100"}, "instance", WEB)
    assert location.reason == (
        'instance="192.0.2.1:9100" matches inventory host `web1` by ansible_host.'
    )


def test_a_label_that_is_not_there_names_nobody() -> None:
    assert locate({"instance": "web1"}, "pod", WEB).hosts == ()
    assert "no label pod" in locate({"instance": "web1"}, "pod", WEB).reason


@given(st.text() | st.text("web12*?[]:,!&~@. \n/", max_size=12) | st.sampled_from(list(WEB.groups)))
def test_whatever_the_text_only_a_host_of_the_inventory_comes_out(text: str) -> None:
    """Invariant 6: the result is one exact inventory name that is no group, or nothing."""
    hosts = _locate(text)
    assert len(hosts) <= 1
    for host in hosts:
        assert host in WEB.hosts
        assert host not in WEB.groups
        assert not set(host) & set("*?[],!&~@ ")


@given(st.dictionaries(st.text(max_size=8), st.dictionaries(
    st.sampled_from(["ansible_host", "runner_aliases"]),
    st.text(max_size=8) | st.integers() | st.none() | st.lists(st.text(max_size=4)))),
    st.text(max_size=8))  # fmt: skip
def test_whatever_the_inventory_it_does_not_break(hosts: dict[str, Any], text: str) -> None:
    inventory = _parsed(hosts)
    assert set(_locate(text, inventory)) <= set(inventory.hosts)


def test_groups_hold_the_hosts_of_their_children() -> None:
    inventory = _parsed(
        {"a": {}},
        site={"children": ["web", "site"], "hosts": ["c"]},
        web={"hosts": ["b"], "children": ["site"]},
    )
    assert sorted(inventory.groups["site"]) == ["b", "c"]
    assert inventory.hosts["b"].groups == ("site", "web")
    assert inventory.hosts["a"].groups == ()
    assert inventory.groups["all"] == ("a",)


def test_unsafe_values_are_plain_and_secrets_are_gone() -> None:
    """Invariant 13: nothing encrypted, and no password of a login, is ever there to be shown."""
    host = {
        "unsafe": {"__ansible_unsafe": "{{ x }}"},
        "vault": {"__ansible_vault": "$ANSIBLE_VAULT"},
        "deep": {"a": [{"__ansible_vault": "x"}, 1], "b": {"__ansible_vault": "x"}},
        "ansible_become_password": "s",
        "ansible_ssh_pass": "s",
        "text": "{{ y }}",
    }
    variables = _parsed({"a": host}).hosts["a"].variables
    assert variables == {"unsafe": "{{ x }}", "deep": {"a": [1]}, "text": "{{ y }}"}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"_meta": 1}', '{"_meta": {"hostvars": []}}', "[" * 100_000,
             '{"_meta": {"hostvars": {}}, "all": 3}', '{"_meta": {"hostvars": {"a": [1]}}}']
)  # fmt: skip
def test_a_listing_that_is_none_is_told(text: str) -> None:
    with pytest.raises(InventoryError, match="what is not an inventory"):
        parse(text)


def test_an_inventory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"is not there; see project\.inventory"):
        Inventory.load((tmp_path / "nowhere",), environment={})
    with pytest.raises(InventoryError, match=r"set project\.inventory"):
        Inventory.load((), environment={})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    found = BESIDE.is_file() or shutil.which("ansible-inventory")
    if not found and not os.environ.get("CI"):
        pytest.skip("ansible-inventory is not installed")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "hosts.yml").write_text("all: {children: {web: {hosts: {web1: , web2: }}}}\n")
    (tmp_path / "group_vars" / "web.yml").write_text(
        "runner_level: approve\nunsafe: !unsafe '{{ x }}'\ntemplate: '{{ y }}'\n"
        "secret: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n"
    )
    return tmp_path


@real
def test_it_reads_a_real_inventory(project: Path) -> None:
    inventory = Inventory.load((project / "hosts.yml",), environment={})
    assert list(inventory.hosts) == ["web1", "web2"]
    assert inventory.hosts["web1"].groups == ("web",)
    assert inventory.hosts["web1"].variables == {
        "runner_level": "approve",
        "unsafe": "{{ x }}",
        "template": "{{ y }}",
    }


@real
def test_it_says_why_a_real_inventory_cannot_be_read(project: Path) -> None:
    (project / "hosts.yml").write_text("all: [\n")
    with pytest.raises(InventoryError, match=r"hosts\.yml: .*YAML parsing failed") as caught:
        Inventory.load((project / "hosts.yml",), environment={})
    assert "\n" not in str(caught.value)


@real
def test_nothing_of_our_environment_reaches_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 13: the child sees what the caller gives, and nothing else."""
    script = project / "dynamic.sh"
    script.write_text('#!/bin/sh\necho "{\\"all\\": {\\"hosts\\": [\\"h${SECRET}${GIVEN}\\"]}}"\n')
    script.chmod(0o755)
    monkeypatch.setenv("SECRET", "s")
    monkeypatch.setenv("ANSIBLE_INVENTORY_ENABLED", "nothing")
    assert list(Inventory.load((script,), environment={"GIVEN": "1"}).hosts) == ["h1"]


@real
def test_an_inventory_that_hangs_is_given_up(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 14: everything that waits has a deadline."""
    monkeypatch.setattr(module, "TIMEOUT", timedelta(microseconds=1))
    with pytest.raises(InventoryError, match="did not answer within"):
        Inventory.load((project / "hosts.yml",), environment={})


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []

    def listed(*_: Any) -> str:
        calls.append(1)
        return '{"_meta": {"hostvars": {}}, "all": {}}'

    monkeypatch.setattr(module, "_listed", listed)
    return calls


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The reader's clock: `clock[0] += 2` lets two seconds pass."""
    now = [1000.0]
    # Of this module alone: a server of another test must not sleep by it.
    monkeypatch.setattr(reading, "time", SimpleNamespace(monotonic=lambda: now[0]))
    yield now


def test_it_is_read_again_when_a_file_changed_and_not_because_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    calls = _counted(monkeypatch)
    (tmp_path / "hosts.yml").write_text("all:\n")
    reader = InventoryReader((tmp_path,), {})
    assert reader.read(DAY) is reader.read(DAY)
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars" / "web1.yml").write_text("plugin: 1\n")  # a variable, no plugin
    clock[0] += 1
    reader.read(DAY)
    assert len(calls) == 2
    clock[0] += 100 * DAY.total_seconds()
    reader.read(DAY)
    assert len(calls) == 2
    os.truncate(tmp_path / "host_vars" / "web1.yml", 0)
    clock[0] += 1
    reader.read(DAY)
    assert len(calls) == 3


def test_its_files_are_looked_at_once_a_second_however_often_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    _counted(monkeypatch)
    looks: list[int] = []
    stamp = reading.sources.stamp
    monkeypatch.setattr(reading.sources, "stamp", lambda *args: looks.append(1) or stamp(*args))
    (tmp_path / "hosts.yml").write_text("all:\n")
    reader = InventoryReader((tmp_path,), {})
    reader.read(DAY)
    before = len(looks)
    for _ in range(99):
        clock[0] += 0.01
        reader.read(DAY)
    assert len(looks) == before
    clock[0] += 0.02
    reader.read(DAY)
    assert len(looks) == before + 1


def test_what_lets_a_run_start_sees_a_change_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    calls = _counted(monkeypatch)
    (tmp_path / "hosts.yml").write_text("all:\n")
    reader = InventoryReader((tmp_path,), {})
    reader.read(DAY)
    (tmp_path / "hosts.yml").write_text("all: {}\n")
    reader.read(DAY)
    assert len(calls) == 1
    reader.read(DAY, fresh=True)
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("name", "content", "mode"),
    [
        ("hosts", "#!/bin/sh\necho {}\n", 0o755),
        ("hosts", "#!/bin/sh\necho {}\n", 0o644),
        ("hosts", "all:\n", 0o755),
        ("hosts.yml", "plugin: amazon.aws.aws_ec2\n", 0o644),
        ("hosts.yml", '---\n# ours\nregions: []\n"plugin" : constructed\n', 0o644),
        ("hosts.yml", "{regions: [], plugin: constructed}\n", 0o644),
        ("ansible.cfg", "[inventory]\nenable_plugins = ours\n", 0o644),
        ("ansible.cfg", "[defaults]\nvars_plugins=/opt/ours\n", 0o644),
    ],
)
def test_a_script_or_a_plugin_is_asked_again_when_it_is_old(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock: list[float],
    name: str,
    content: str,
    mode: int,
) -> None:
    calls = _counted(monkeypatch)
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "more.ini").write_text("web1\n")
    file = (tmp_path if name == "ansible.cfg" else folder) / name
    file.write_text(content)
    file.chmod(mode)
    given = {"ANSIBLE_CONFIG": str(file)} if name == "ansible.cfg" else {}
    reader = InventoryReader((folder,), given)
    reader.read(DAY)
    clock[0] += DAY.total_seconds()
    reader.read(DAY)
    assert len(calls) == 1
    clock[0] += 1
    reader.read(DAY)
    assert len(calls) == 2


def test_behind_a_linked_folder_anything_may_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    calls = _counted(monkeypatch)
    (tmp_path / "far").mkdir()
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "hosts.ini").write_text("web1\n")
    (tmp_path / "near" / "host_vars").symlink_to(tmp_path / "far")
    reader = InventoryReader((tmp_path / "near",), {})
    reader.read(DAY)
    clock[0] += DAY.total_seconds() + 1
    reader.read(DAY)
    assert len(calls) == 2


@real
def test_a_name_that_is_a_template_is_asked_for_again_when_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hosts.ini").write_text("web1 ansible_host=\"{{ lookup('env', 'HOME') }}\"\n")
    reader = InventoryReader((tmp_path / "hosts.ini",), {"HOME": "192.0.2.1"})
    first = reader.read(DAY)
    assert first.hosts["web1"].variables["ansible_host"] == "192.0.2.1"
    assert reader.read(DAY) is first
    assert reader.read(timedelta(seconds=-1)) is not first


def test_variables_beside_an_inventory_file_count_as_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    calls = _counted(monkeypatch)
    (tmp_path / "hosts.yml").write_text("all:\n")
    reader = InventoryReader((tmp_path / "hosts.yml",), {})
    reader.read(DAY)
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "all.yml").write_text("a: 1\n")
    clock[0] += 1
    reader.read(DAY)
    assert len(calls) == 2


@real
def test_an_ansible_host_that_is_a_template_is_resolved_by_ansible() -> None:
    """`tests/inputs/L1`: an address that terraform or group_vars make up is found all the same."""
    path = INPUTS / "L1-template-ansible_host" / "hosts.ini"
    inventory = Inventory.load((path,), environment={})
    assert _locate("203.0.113.10:9100", inventory) == ("web1",)
    assert inventory.hosts["web1"].variables["ansible_host"] == "203.0.113.10"
    assert not inventory.unresolved


@real
def test_a_name_that_needs_facts_is_named_by_its_host(tmp_path: Path) -> None:
    (tmp_path / "hosts.ini").write_text(
        'a ansible_host="{{ ansible_facts.fqdn }}"\n'
        "b ansible_host=192.0.2.2\n"
        "c runner_aliases=\"['{{ inventory_hostname }}.example.com']\"\n"
        "d ansible_host=\"{{ hostvars['b'].ansible_host }}\"\n"
    )
    inventory = Inventory.load((tmp_path / "hosts.ini",), environment={})
    assert list(inventory.unresolved) == ["a"]
    assert "ansible_host is a template that Ansible cannot resolve" in inventory.unresolved["a"]
    assert _locate("c.example.com", inventory) == ("c",)
    assert _locate("192.0.2.2", inventory) == ()  # b and d
    assert _locate("a", inventory) == ("a",)


@real
def test_localhost_of_the_inventory_is_not_that_of_prometheus() -> None:
    """`tests/inputs/L2`, invariant 6."""
    inventory = Inventory.load((INPUTS / "L2-localhost" / "hosts.ini",), environment={})
    assert "localhost" in inventory.hosts
    assert _locate("localhost:9100", inventory) == ()
