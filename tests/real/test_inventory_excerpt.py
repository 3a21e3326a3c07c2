"""A run on a large inventory reads an excerpt of it, and its play sees what it saw before."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner import inventory as module
from runner.catalog.inventory_use import InventoryUse
from runner.daemon import Daemon
from runner.execute import run as execute
from runner.execute.request import RunRequest, RunResult
from runner.execute.run import run
from runner.incident import Outcome, Plan, State
from runner.inventory import Host, Inventory, sources
from runner.inventory.excerpt import LARGE, Doubtful, Whole
from runner.inventory.reader import InventoryReader
from runner.project import Project
from runner.steps import carry_out, own_inventory
from tests import small_project as small
from tests.local_hosts import Lab
from tests.real.test_vault import encrypt, encrypted_text, password_in
from tests.warm_process import is_warm, keeper

real = pytest.mark.real
MANY = {f"node{n}": None for n in range(LARGE)}
LOCAL = {
    "ansible_connection": "local",
    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
}

#: Everything at which variables of an inventory meet, each with a name of its own.
FILES = {
    "group_vars/all.yml": """\
        level: of all
        number: 0
        untouched: !unsafe "{{ never }} of all"
        only_all: "{{ inventory_hostname }} of {{ group_names | join('+') }}"
        address: "10.0.0.{{ number }}"
        """,
    "group_vars/prod.yml": "level: of prod\ndepth: of prod\nnumber: 1\n",
    "group_vars/web.yml": """\
        level: of web
        depth: of web
        number: 7
        raw: !unsafe "{{ never }} filled in"
        kinds: {whole: 7, text: "7", part: 7.5, sure: true, nothing: null, list: [1, "é", {a: b}]}
        """,
    "group_vars/first.yml": "ansible_group_priority: 9\nurgent: of first\n",
    "group_vars/web2nd.yml": "urgent: of web2nd\n",
    "host_vars/web1.yml": "level: of web1\nlong: |\n  two\n  lines\n",
    "host_vars/lb1.yml": "ansible_connection: local\nport: 81\n",
}
HOSTS = {
    "all": {
        "vars": {"ansible_python_interpreter": LOCAL["ansible_python_interpreter"]},
        "hosts": {"web1": None, **MANY},
        "children": {
            "prod": {"children": {"web": None, "lb": None}},
            "web": {
                "hosts": {
                    "web2": {"inline": "web2"},
                    "web1": {"inline": "web1", "depth": "inline"},
                },
                "vars": {"ansible_connection": "local", "inline": "group"},
            },
            "first": {"hosts": {"web1": None}},
            "web2nd": {"hosts": {"web1": None}},
            "lb": {"hosts": {"lb2": None, "lb1": None}},
            "empty": {},
        },
    }
}
KINDS = ["whole", "text", "part", "sure", "nothing", "list"]
#: Magic names that differ by what they are: where the inventory lies, who else is in it.
OTHERWISE = {
    "ansible_config_file", "ansible_inventory_sources", "groups", "hostvars", "playbook_dir",
    "vars",
}  # fmt: skip
NAMED = ("all", "web", "prod", "empty")
SEE = """
- name: Turn to another host
  ansible.builtin.raw: "echo {{ port | default('none') }} {{ number }}"
  delegate_to: lb1
  register: turned
  changed_when: false
- name: Look into the folder of the run
  ansible.builtin.raw: "ls {{ ansible_config_file | dirname }}"
  register: left
  changed_when: false
- name: See
  ansible.builtin.raw: "echo {{ everything | to_json | b64encode }} | base64 -d > {{ into }}"
  vars:
    everything:
      own: "{{ hostvars[inventory_hostname] }}"
      delegate: "{{ hostvars['lb1'] }}"
      here: "{{ hostvars['localhost'] }}"
      names: "{{ group_names }}"
      known: "{{ groups.keys() | sort }}"
      members: "{{ ['all', 'web', 'prod', 'empty'] | map('extract', groups) }}"
      hosts: "{{ ansible_play_hosts_all }}"
      secrets: "{{ [secret, inline_secret] }}"
      texts: "{{ [raw, address] }}"
      said: "{{ turned.stdout_lines }}"
      left: "{{ left.stdout_lines }}"
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("excerpt"))
    password = password_in(lab.folder)
    inventory = lab.folder / "inventory"
    for name, text in {**FILES, "hosts.yml": json.dumps(HOSTS)}.items():
        (inventory / name).parent.mkdir(parents=True, exist_ok=True)
        lab.write(f"inventory/{name}", text)
    (inventory / "group_vars/prod").mkdir()
    secret = inventory / "group_vars/prod/vault.yml"
    (inventory / "group_vars/prod.yml").rename(inventory / "group_vars/prod/plain.yml")
    secret.write_text("secret: correct-horse-battery\n")
    encrypt(secret, password)
    with (inventory / "host_vars/web1.yml").open("a") as file:
        file.write(f"inline_secret: {encrypted_text('staple-{{ no }}-gun', password)}\n")
    return lab


def environment(lab: Lab) -> dict[str, str]:
    return {"ANSIBLE_VAULT_PASSWORD_FILE": str(lab.folder / "vault_password"),
            "ANSIBLE_CONFIG": str(lab.folder / "ansible.cfg")}  # fmt: skip


@pytest.fixture(scope="module")
def inventory(lab: Lab) -> Inventory:
    (lab.folder / "ansible.cfg").touch()
    paths = (lab.folder / "inventory",)
    return InventoryReader(paths, environment(lab)).read(timedelta(minutes=1))


def whole_of(inventory: Inventory) -> Whole:
    assert inventory.whole is not None
    return inventory.whole


class Seen:
    """What the play saw, with this excerpt or with the whole inventory."""

    def __init__(self, lab: Lab, excerpt: bytes | None, **given: Any) -> None:
        into = lab.folder / "seen.json"
        self.request = lab.request(
            lab.play(SEE),
            inventory=(lab.folder / "inventory",),
            allowed=frozenset({"lb1", "localhost"}),
            variables={"into": str(into)},
            vault_password_file=lab.folder / "vault_password",
            excerpt=excerpt,
        )
        self.result = run(self.request, **given)
        assert self.result.outcome is Outcome.CHANGED, self.result.reason
        self.all: dict[str, Any] = json.loads(into.read_text())
        into.unlink()
        for name in ("own", "delegate", "here"):
            for other in OTHERWISE & self.all[name].keys():
                del self.all[name][other]


@pytest.fixture(scope="module")
def excerpt(inventory: Inventory) -> bytes:
    return whole_of(inventory).excerpt({"web1", "lb1"}, ("all", "web", "prod", "empty"))


@pytest.fixture(scope="module")
def by_excerpt(lab: Lab, excerpt: bytes) -> Seen:
    return Seen(lab, excerpt)


@real
def test_a_play_sees_the_same_by_an_excerpt(lab: Lab, by_excerpt: Seen) -> None:
    before, after = Seen(lab, None).all, by_excerpt.all
    assert after == before
    assert list(after["own"]["kinds"]) == list(before["own"]["kinds"]) == KINDS
    assert before["own"]["level"] == "of web1" and before["own"]["depth"] == "inline"
    assert before["texts"] == ["{{ never }} filled in", "10.0.0.7"]
    assert before["secrets"] == ["correct-horse-battery", "staple-{{ no }}-gun"]
    assert before["members"][1] == ["web2", "web1"] and before["delegate"]["port"] == 81
    assert before["here"]["level"] == "of all"
    assert before["here"]["untouched"] == "{{ never }} of all"


@real
def test_a_warm_run_reads_the_excerpt_too(lab: Lab, excerpt: bytes, by_excerpt: Seen) -> None:
    with keeper(lab, vault_password_file=lab.folder / "vault_password") as warm:
        by_fork = Seen(lab, excerpt, warm=warm)
    assert is_warm(by_fork.result) and by_fork.all == by_excerpt.all


@real
def test_an_excerpt_is_private_and_gone_when_the_play_begins(
    by_excerpt: Seen, inventory: Inventory, tmp_path: Path
) -> None:
    """Invariant 13: it holds secrets, so it is neither kept nor readable by others."""
    secret, request = "correct-horse-battery", by_excerpt.request
    assert request.excerpt is not None and secret.encode() in request.excerpt
    private = execute._private(request)
    assert stat.S_IMODE((private / execute.EXCERPT).stat().st_mode) == 0o600
    shutil.rmtree(private)
    assert "ansible.cfg" in by_excerpt.all["left"] and "hosts" not in by_excerpt.all["left"]
    kept = [p.read_bytes() for p in by_excerpt.result.artifacts.rglob("*") if p.is_file()]
    assert not any(secret.encode() in text or b"ANSIBLE_VAULT" in text for text in kept)
    assert secret not in repr(request) and secret not in repr(inventory)


@real
def test_who_is_there_by_name_only_cannot_be_reached(lab: Lab, inventory: Inventory) -> None:
    """What the files did not tell fails before anything connects."""
    assert len(whole_of(inventory).excerpt({"web1"}, ())) < 5_000
    excerpt = whole_of(inventory).excerpt({"web1"}, {"lb"})
    result = lab.run(
        "- ansible.builtin.ping:\n  delegate_to: lb1\n",
        inventory=(lab.folder / "inventory",),
        vault_password_file=lab.folder / "vault_password",
        excerpt=excerpt,
    )
    assert result.outcome is Outcome.FAILED
    assert "none_because_the_plan_does_not_name_this_host" in str(result.tasks)


LISTING: dict[str, Any] = {
    "_meta": {
        "hostvars": {"web1": {"x": 1}, "db1": {"secret": "y"}},
        "first": ["db1"],
        "places": {name: ["/i/hosts", "/i"] for name in ("db1", "web1", "web2")},
        "lost": {},
    },
    "all": {"children": ["ungrouped", "prod"], "vars": {"a": 1}},
    "prod": {"children": ["web", "db"]},
    "web": {"hosts": ["web2", "web1"]},
    "db": {"hosts": ["db1"]},
}
PLACE = {"inventory_file": "/i/hosts", "inventory_dir": "/i"}


def _whole(variables: Mapping[str, Any], /, *, lost: str = "", **groups: Any) -> Whole:
    listing = json.loads(json.dumps(LISTING | groups))
    listing["_meta"]["hostvars"]["web1"] = dict(variables)
    listing["_meta"]["lost"] = {"web1": lost} if lost else {}
    return Whole.of(json.dumps(listing))


def test_an_excerpt_has_the_variables_of_its_hosts_and_every_group_by_name() -> None:
    excerpt = json.loads(_whole({"x": 1}).excerpt({"web1"}, ()))
    assert excerpt["web"] == {"children": {}, "hosts": {"web1": {"x": 1} | PLACE}}
    assert excerpt["all"]["vars"] == {"a": 1} and "hosts" not in excerpt["all"]
    assert excerpt["db"] == {"children": {}}
    assert list(excerpt["all"]["children"]) == ["ungrouped", "prod"]
    assert list(excerpt["prod"]["children"]) == ["web", "db"]


def test_named_groups_have_all_their_hosts_those_of_groups_in_them_too() -> None:
    """In their order, and no variable of theirs."""
    excerpt = json.loads(_whole({"x": 1}).excerpt({"web1"}, {"prod", "not_there"}))
    assert list(excerpt["web"]["hosts"]) == ["web2", "web1"]
    assert excerpt["db"]["hosts"]["db1"].keys() == {"ansible_connection"}
    of_all = json.loads(_whole({"x": 1}).excerpt({"web1"}, {"all"}))
    assert list(of_all["all"]["hosts"]) == ["db1"]


def test_what_the_listing_has_lost_of_a_host_is_doubtful() -> None:
    whole = _whole({}, lost="x holds a date or a time")
    with pytest.raises(Doubtful, match="web1: x holds a date"):
        whole.excerpt({"web1"}, ())
    whole.excerpt({"db1"}, ())


@real
def test_what_json_cannot_say_of_a_value_is_lost(tmp_path: Path) -> None:
    """And nothing else: a text that looks like a date is one."""
    kept = {"date": "2024-02-03", "ports": {"80": "http"}, "z": {"b": 1, "a": 2}}
    hosts: dict[str, Any] = {
        **MANY,
        "date": {"x": [{"y": date(2024, 2, 3)}]},
        "key": {"ports": {80: "http"}},
        "true": {"x": {True: 1}},
        "set": {"x": {1, 2}},
        "fine": kept,
    }
    (tmp_path / "ansible.cfg").touch()
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}, sort_keys=False))
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "host_vars/late.yml").write_text("at: 2024-02-03 10:00:00\n")
    (tmp_path / "late.ini").write_text("late\n")
    paths = tuple(tmp_path / name for name in ("hosts.yml", "late.ini"))
    environment = {"ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")}
    whole = whole_of(InventoryReader(paths, environment).read(timedelta(minutes=1)))
    assert whole.lost == {
        "date": "x holds a date or a time",
        "key": "ports holds a key that is no text",
        "true": "x holds a key that is no text",
        "set": "x holds a tuple or a set",
        "late": "at holds a date or a time",
    }
    fine = json.loads(whole.excerpt({"fine"}, ()))["all"]["hosts"]["fine"]
    assert list(fine["z"]) == ["b", "a"] and fine.items() >= kept.items()


@pytest.mark.parametrize(
    "groups",
    [
        {"web1": {"hosts": ["db1"]}},
        {"plugin": {"hosts": ["db1"]}},
        {"web": {"hosts": ["web1", "web[1:9]"]}},
        {"web": {"hosts": ["web1", "2001:db8::1"]}},
        {"web": {"hosts": []}},
    ],
)
def test_names_that_mean_two_things_are_doubtful(groups: dict[str, Any]) -> None:
    with pytest.raises(Doubtful):
        _whole({}, **groups).excerpt({"web1"}, {"web"})


PLAN = Plan(entry="mark", hosts=("web1",), delegates=(), variables={}, content="", diff="", hash="")
KNOWN = Inventory(
    hosts={name: Host(name=name) for name in ("web1", "web2", "db1")},
    groups={"all": ("web1", "web2", "db1"), "web": ("web1", "web2"), "db": ("db1",)},
)
EVERY = InventoryUse(patterns=("all",))


@pytest.mark.parametrize(
    ("plan", "use", "variables"),
    [
        (PLAN, EVERY, {"deep": [{"msg": "{{ groups[role] }}"}]}),
        (PLAN, InventoryUse(patterns=("web[0]",)), {}),
        (PLAN, InventoryUse(patterns=("{{ which }}",)), {}),
        (PLAN, InventoryUse(patterns=("db2",)), {}),
        (PLAN, InventoryUse(patterns=("",)), {}),
        (PLAN, InventoryUse(patterns=("all",), whole="so it is"), {}),
        (PLAN, EVERY, {"ansible_host": "{{ hostvars['db1'].inner }}"}),
    ],
)
def test_in_doubt_a_run_reads_the_whole(
    plan: Plan, use: InventoryUse, variables: dict[str, Any]
) -> None:
    with pytest.raises(Doubtful):
        own_inventory.cut(KNOWN, _whole(variables), plan, use)


def test_a_host_that_the_inventory_lacks_is_left_to_ansible() -> None:
    """It makes one of the variables of the group `all`, as it does of an implicit localhost."""
    plan = replace(PLAN, hosts=("web1", "web2"), delegates=("localhost",))
    excerpt = json.loads(own_inventory.cut(KNOWN, _whole({}), plan, EVERY))
    assert list(excerpt["web"]["hosts"]) == ["web2", "web1"]


def test_groups_that_a_variable_names_are_there() -> None:
    whole = _whole({"peers": "{{ groups['db'] }}"})
    excerpt = json.loads(own_inventory.cut(KNOWN, whole, PLAN, InventoryUse(patterns=("web",))))
    assert list(excerpt["db"]["hosts"]) == ["db1"]


def test_a_text_that_is_no_template_names_nothing() -> None:
    whole = _whole({"said": {"__ansible_unsafe": "{{ hostvars }}"}})
    own_inventory.cut(KNOWN, whole, PLAN, EVERY)


def _reader(root: Path, hosts: int) -> InventoryReader:
    (root / "hosts.ini").write_text(f"web[1:{hosts}]\n")  # few bytes, from which nobody could tell
    (root / "ansible.cfg").touch()
    return InventoryReader((root / "hosts.ini",), {"ANSIBLE_CONFIG": str(root / "ansible.cfg")})


@real
def test_a_small_inventory_is_read_by_ansible_as_ever(tmp_path: Path) -> None:
    assert _reader(tmp_path, LARGE).read(timedelta(minutes=1)).whole is None


@real
def test_only_plain_files_give_excerpts(tmp_path: Path) -> None:
    """A program may say another thing each time."""
    reader = _reader(tmp_path, LARGE + 1)
    assert reader.read(timedelta(minutes=1)).whole is not None
    script = f"#!/bin/sh\necho '{json.dumps({'web': {'hosts': [*MANY, 'more']}})}'\n"
    (tmp_path / "hosts.ini").write_text(script)
    (tmp_path / "hosts.ini").chmod(0o700)
    assert reader.read(timedelta(minutes=1), fresh=True).whole is None


@real
def test_with_an_ansible_that_cannot_list_exactly_runs_read_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LISTER", tmp_path / "not_there.py")
    read = _reader(tmp_path, LARGE + 1).read(timedelta(minutes=1))
    assert read.whole is None and len(read.hosts) == LARGE + 1


@pytest.mark.parametrize(
    ("config", "variables"),
    [
        ("[defaults]\nfact_caching = jsonfile\n", {}),
        ("[inventory]\nexport: true\n", {}),
        ("", {"ANSIBLE_CACHE_PLUGIN": "jsonfile"}),
        ("", {"ANSIBLE_INVENTORY_EXPORT": "1"}),
    ],
)
def test_settings_that_add_to_a_listing_forbid_excerpts(
    tmp_path: Path, config: str, variables: dict[str, str]
) -> None:
    own = {"ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")}
    (tmp_path / "ansible.cfg").write_text("[defaults]\nforks = 5\n")
    assert not sources.may_add(own)
    (tmp_path / "ansible.cfg").write_text(config)
    assert sources.may_add(own | variables)


def test_settings_that_a_run_does_not_read_forbid_excerpts(tmp_path: Path) -> None:
    """Without an ansible.cfg of the project a listing takes its user's, and a run takes none."""
    (tmp_path / ".ansible.cfg").touch()
    assert sources.may_add({"HOME": str(tmp_path)})


def _project(root: Path) -> Path:
    inventory: dict[str, Any] = yaml.safe_load(yaml.safe_dump(small.INVENTORY))
    inventory["all"]["hosts"] |= MANY | {"web1": {"api_key": "battery-staple"}}
    settings = small.default_settings()
    settings["project"]["ansible_config"] = "ansible.cfg"
    path = small.make(root, inventory=inventory, settings=settings)
    (root / "ansible.cfg").touch()
    return path


@real
def test_an_incident_on_a_large_inventory_is_fixed_by_excerpts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dry run and run read one host of hundreds, and nothing of it is kept. The run reads what was
    compared with its plan, though another thread has read something else by then."""
    found: list[bytes | None] = []
    hosts_file = tmp_path / "inventory/hosts.yml"
    compare = carry_out._same_plan

    def compared(project: Project, *given: Any) -> Inventory:
        inventory = compare(project, *given)
        hosts_file.write_text(hosts_file.read_text().replace("battery-staple", "battery-changed"))
        assert project.inventory(fresh=True) is not inventory
        return inventory

    monkeypatch.setattr(carry_out, "_same_plan", compared)

    def running(request: RunRequest, **given: Any) -> RunResult:
        found.append(request.excerpt)
        return run(request, **given)

    monkeypatch.setattr("runner.steps.perform.ansible.run", running)
    project = small.project(_project(tmp_path))
    daemon = Daemon(project)
    daemon.start()
    try:
        small.deliver(project, small.alert())
        bundle = small.wait(project)
        assert bundle.incident.state is State.FIXED, bundle.incident.reason
    finally:
        daemon.stop()
        project.close()
    assert len(found) == 2
    for excerpt in found:
        assert excerpt is not None and b"battery-staple" in excerpt
        hosts = [h for group in json.loads(excerpt).values() for h in group.get("hosts", ())]
        assert set(hosts) == {"web1"}
    artifacts = (tmp_path / "var/artifacts").rglob("*")
    assert not any(b"battery-staple" in p.read_bytes() for p in artifacts if p.is_file())


@real
def test_an_excerpt_looks_at_no_file_of_the_inventory(tmp_path: Path) -> None:
    """A play that reads variables of another host gets the whole."""
    project: Project = small.project(_project(tmp_path))
    try:
        known = project.inventory()
        hosts = tmp_path / "inventory/hosts.yml"
        hosts.write_text(hosts.read_text().replace("battery-staple", "battery-changed"))
        assert project.inventory_at_hand is known
        entry = project.catalog.get("mark")
        excerpt = own_inventory.excerpt(project, known, entry, PLAN)
        assert excerpt is not None and b"battery-staple" in excerpt
        with (tmp_path / "roles/mark/tasks/main.yml").open("a") as file:
            file.write("- ansible.builtin.debug: {msg: \"{{ hostvars['node7'].x }}\"}\n")
        assert own_inventory.excerpt(project, known, entry, PLAN) is None
    finally:
        project.close()
