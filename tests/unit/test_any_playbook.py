"""An entry may name any playbook: what is passed to it, where its plays run, what is covered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.catalog import Catalog, load
from runner.catalog.content import read
from runner.catalog.entry import Entry
from runner.catalog.inline import PLAIN
from runner.catalog.lint import Severity, lint
from runner.catalog.parameters import resolve
from runner.catalog.scan import scan
from runner.errors import CatalogError, Refused
from runner.incident import Level
from runner.inventory import Host, Inventory
from runner.plan.reach import also_of, hosts_of, refuse_unreached
from tests.policy_case import case

PLAYBOOK = """\
- name: Drain
  hosts: lb
  tasks: [{name: Out, ping: }]
- name: Restart
  hosts: web
  tasks: [{name: Restart, ping: }]
"""
ENTRY: dict[str, Any] = {
    "title": "Restart",
    "description": "Restarts it.",
    "playbook": "../../site/restart.yml",
}
INVENTORY = Inventory(
    hosts={name: Host(name=name) for name in ("web1", "web2", "db1", "lb1")},
    groups={
        "all": ("web1", "web2", "db1", "lb1"),
        "web": ("web1", "web2"),
        "db": ("db1",),
        "lb": ("lb1",),
        "prod": ("web1", "db1"),
    },
)


def catalog(root: Path, text: str = PLAYBOOK, **entry: Any) -> Catalog:
    files = {"site/restart.yml": text, "playbooks/go/entry.yml": json.dumps(ENTRY | entry)}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return load(root / "playbooks", (root / "roles",))


def refusal(root: Path, hosts: tuple[str, ...], text: str = PLAYBOOK, **entry: Any) -> str:
    """Why the playbook cannot run on these hosts; empty when it can."""
    made = catalog(root, text, **entry)
    of = made.get("go")
    try:
        refuse_unreached(of, scan(of, made.roles), hosts, INVENTORY)
    except Refused as error:
        return str(error)
    return ""


# What it is


def test_it_lies_where_it_is_named(tmp_path: Path) -> None:
    entry = catalog(tmp_path).get("go")
    assert entry.play_file == tmp_path / "site/restart.yml"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"playbook": "../../site/other.yml"}, "site/other.yml is not there"),
        ({"playbook": "acme.ops.restart"}, "acme.ops.restart is not there"),
        ({"role": "web"}, "give one of role, playbook and steps"),
        ({"kind": "drill"}, "a drill is a role"),
        ({"tags": ["--limit=all"]}, "'--limit=all' is no tag"),
        ({"target": {"also": {"group": "all"}}}, "all is no group of its own"),
        ({"parameters": {"n": {"from": "choice", "pattern": "("}}}, "parameters.n.pattern"),
        ({"parameters": {"n": {"from": "choice", "min": 1}}}, "min and max are for numbers"),
        ({"parameters": {"n": {"from": "constant", "value": 9, "type": "int", "max": 8}}},
         "must be at most 8"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_when_it_is_loaded(
    tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(CatalogError, match=said.replace("(", r"\(")):
        catalog(tmp_path, **wrong)


@pytest.mark.parametrize("key", ["tags", "skip_tags"])
def test_only_a_playbook_has_tags(tmp_path: Path, key: str) -> None:
    with pytest.raises(CatalogError, match=f"{key} belongs to an entry with playbook"):
        catalog(tmp_path, playbook=None, steps=["other"], **{key: ["x"]})


# What is passed


@given(st.text(max_size=20))
def test_a_text_from_outside_is_harmless_in_a_shell_unless_the_entry_says_more(text: str) -> None:
    """Invariant 5: ordinary playbooks put variables into shell commands."""
    entry = Entry.model_validate(
        ENTRY | {"id": "go", "folder": Path("x"), "parameters": {"u": {"from": "label unit"}}}
    )
    from runner.catalog.inline import stated_in

    try:
        made = resolve(entry, stated_in(entry), labels={"unit": text}, hostvars={}, chosen={})
    except Refused:
        return
    assert made["u"] == text and not set(text) & set(" \t\n;&|<>$`\\\"'(){}*?!#~/")
    assert not text.startswith(("-", ".", "="))


@pytest.mark.parametrize(
    ("parameter", "label", "value"),
    [
        ({}, "shop.service", "shop.service"),
        ({}, "$(id)", None),
        ({}, "-rf", None),
        ({"pattern": "[a-z]+( [a-z]+)?"}, "two words", "two words"),
        ({"pattern": "[a-z]+"}, "abc\n", None),
        ({"choices": ["a b", "c"]}, "a b", "a b"),
        ({"type": "int", "min": 1, "max": 8}, "8", 8),
        ({"type": "int", "min": 1, "max": 8}, "9", None),
        ({"type": "list"}, "a,b;c", None),
    ],
)
def test_parameters_say_what_a_value_may_be(
    tmp_path: Path, parameter: dict[str, Any], label: str, value: Any
) -> None:
    made = catalog(tmp_path, parameters={"p": {"from": "label l"} | parameter})
    entry, specs = made.get("go"), made.schema("go")
    try:
        found = resolve(entry, specs, labels={"l": label}, hostvars={}, chosen={})["p"]
    except Refused:
        found = None
    assert found == value, PLAIN


def test_a_free_path_from_outside_is_never_run(tmp_path: Path) -> None:
    parameters = {"p": {"from": "label l", "type": "path"}}
    found = lint(catalog(tmp_path, parameters=parameters))
    wrong = [each.text for each in found if each.severity is Severity.REFUSED]
    assert len(wrong) == 1 and "a free path must not come from outside" in wrong[0]


# Prompts

ASKS = """\
- name: Ask
  hosts: web
  vars_prompt:
    - {name: release, prompt: Which, private: false}
    - {name: token, prompt: Token}
  tasks: []
"""


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "asks for release, token (vars_prompt)"),
        ({"release": {"from": "choice"}}, "asks for token (vars_prompt)"),
        ({"release": {"from": "choice"}, "token": {"from": "choice"}}, "asks for token unseen"),
        ({"release": {"from": "choice", "required": False},
          "token": {"from": "environment TOKEN"}}, "must not have required: false"),
        ({"release": {"from": "choice"}, "token": {"from": "file token"}}, ""),
        ({"release": {"from": "choice"}, "token": {"from": "choice", "secret": False}}, ""),
    ],
)  # fmt: skip
def test_a_prompt_is_answered_by_a_parameter_or_refused(
    tmp_path: Path, parameters: dict[str, Any], said: str
) -> None:
    made = catalog(tmp_path, ASKS, parameters=parameters)
    found = " ".join(scan(made.get("go"), made.roles).obstacles)
    assert said in found and bool(said) is bool(found)


def test_a_prompt_that_encrypts_is_not_answered_in_clear(tmp_path: Path) -> None:
    asks = ASKS.replace("prompt: Token", "prompt: Token, encrypt: sha512_crypt")
    given = {"release": {"from": "choice"}, "token": {"from": "file token"}}
    made = catalog(tmp_path, asks, parameters=given)
    assert "encrypts the answer" in scan(made.get("go"), made.roles).obstacles[0]


# Where its plays run

WEB = "- {name: Restart, hosts: web, tasks: []}\n"
HERE = "- {name: Note, hosts: localhost, tasks: []}\n" + WEB
ALL = "- {name: Drain, hosts: lb, tasks: []}\n- {name: Restart, hosts: all, tasks: []}\n"
LB = {"target": {"also": {"group": "lb"}}}


@pytest.mark.parametrize(
    ("hosts", "playbook", "entry", "said"),
    [
        (("web1",), WEB, {}, ""),
        (("db1",), WEB, {}, "the play 'Restart' is for web, which is none of these hosts"),
        (("web1",), PLAYBOOK, {}, "the play 'Drain' is for lb"),
        (("web1",), PLAYBOOK, LB, ""),
        (("web1",), PLAYBOOK, {"plays": {"skip": ["Drain"]}}, ""),
        (("web1",), WEB, {"plays": {"skip": ["Restart"]}}, "would run on web1 all the same"),
        (("web1",), WEB, {"plays": {"skip": ["Drian"]}}, "there is no such play"),
        (("web1",), ALL, LB, "the play 'Restart' is for web1 and would run on lb1 too"),
        (("web1",), HERE, {}, "'Note' runs on the machine of the runner"),
        (("web1",), HERE, {"target": {"controller": True}}, ""),
        (("web1",), "- {name: One, hosts: 'web[0]', tasks: []}\n", {}, "by their position"),
        (("web1", "web2"), "- {name: One, hosts: 'web[0]', tasks: []}\n", {}, ""),
        (("web1", "db1"), WEB, {}, "no play is for db1"),
        (("web1",), "- {name: None, hosts: 'web:!web1', tasks: []}\n", {}, "'None' is for web,!we"),
        (("web1",), WEB, {"target": {"also": {"group": "gone"}}}, "has no host in group 'gone'"),
    ],
)
def test_a_play_that_fits_no_host_refuses_the_playbook_by_its_name(
    tmp_path: Path, hosts: tuple[str, ...], playbook: str, entry: dict[str, Any], said: str
) -> None:
    """Invariant 6: a drain that is left out in silence is worse than no restart."""
    found = refusal(tmp_path, hosts, playbook, **entry)
    assert said in found and bool(said) is bool(found)


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("all", {"web1", "web2", "db1", "lb1"}),
        ("*", {"web1", "web2", "db1", "lb1"}),
        ("web,db", {"web1", "web2", "db1"}),
        ("web:&prod", {"web1"}),
        ("prod:!web", {"db1"}),
        ("!web", {"db1", "lb1"}),
        ("w*", {"web1", "web2"}),
        ("~(db|lb)\\d", {"db1", "lb1"}),
        ("web2", {"web2"}),
        ("gone", set()),
        ("a*", set()),
    ],
)
def test_hosts_are_those_that_ansible_means(tmp_path: Path, pattern: str, hosts: set[str]) -> None:
    made = catalog(tmp_path, json.dumps([{"hosts": pattern, "tasks": []}]))
    (play,) = scan(made.get("go"), made.roles).plays
    assert hosts_of(play, INVENTORY) == hosts


def test_hosts_of_a_template_are_refused_before_anything_starts(tmp_path: Path) -> None:
    made = catalog(tmp_path, "- {name: X, hosts: '{{ where }}', tasks: []}\n")
    found = scan(made.get("go"), made.roles).obstacles
    assert "only a run fills in" in found[0]


def test_hosts_of_other_plays_and_the_own_machine_are_in_the_plan(tmp_path: Path) -> None:
    target = {"also": {"group": "lb"}, "controller": True}
    assert also_of(catalog(tmp_path, target=target).get("go"), INVENTORY) == ("lb1", "localhost")


def test_a_play_on_the_own_machine_asks_a_person(tmp_path: Path) -> None:
    entry = catalog(tmp_path, HERE, target={"controller": True}, level="auto").get("go")
    from runner.policy.radius import controller

    reasons = list(controller(case(entry=entry)))
    assert [(reason.rule, reason.level) for reason in reasons] == [("controller", Level.APPROVE)]


# What is covered

PARTS = {
    "site/restart.yml": "- hosts: web\n  vars_files: [more/v.yml]\n  tasks:\n"
    "    - import_tasks: ../shared/t.yml\n- import_playbook: other/o.yml\n",
    "site/more/v.yml": "a: 1\n",
    "shared/t.yml": "- {name: T, copy: {src: top.txt, dest: /x}}\n",
    "site/top.txt": "x\n",
    "site/other/o.yml": "- {hosts: web, tasks: [{ping: }]}\n",
    "site/other/tasks/x.yml": "[]\n",
    "site/templates/x.j2": "x\n",
    "site/group_vars/web.yml": "b: 1\n",
    "site/filter_plugins/f.py": "# x\n",
    "site/roles/r/tasks/main.yml": "[]\n",
}


@pytest.mark.parametrize("file", sorted(PARTS))
def test_the_hash_covers_everything_that_its_plays_read(tmp_path: Path, file: str) -> None:
    """Invariant 16: wherever the playbook lies."""
    for name, text in PARTS.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    playbook = PARTS["site/restart.yml"].replace("  tasks:", "  roles: [r]\n  tasks:")

    def covered() -> tuple[str, set[Path]]:
        made = catalog(tmp_path, playbook)
        entry = made.get("go")
        content = read(made, entry)
        return content.hash, {*content.paths.values(), *scan(entry, made.roles).beside}

    before, files = covered()
    assert tmp_path / file in files
    if (
        file != "site/restart.yml"
        and tmp_path / file
        not in scan(catalog(tmp_path, playbook).get("go"), catalog(tmp_path, playbook).roles).beside
    ):
        (tmp_path / file).write_text(PARTS[file] + "# more\n")
        assert covered()[0] != before


def test_another_playbook_beside_it_does_not_count(tmp_path: Path) -> None:
    def hashed() -> str:
        made = catalog(tmp_path)
        return read(made, made.get("go")).hash

    before = hashed()
    (tmp_path / "site/other.yml").write_text("[]\n")
    assert hashed() == before


def test_windows_is_refused(tmp_path: Path) -> None:
    task = "{name: R, ansible.windows.win_service: {name: x, state: restarted}}"
    made = catalog(tmp_path, f"- {{hosts: web, tasks: [{task}]}}\n")
    assert "is for Windows" in scan(made.get("go"), made.roles).obstacles[0]


# Lint


def test_lint_says_why_it_goes_less_far_and_nothing_of_its_style(tmp_path: Path) -> None:
    tasks = (
        "{name: Run, shell: x}, {name: Look, command: y, check_mode: false}, "
        "{name: Read, command: z, check_mode: false, changed_when: false}"
    )
    made = catalog(
        tmp_path,
        f"- {{hosts: web, tasks: [{tasks}]}}\n",
        dry_run={"reads": ["Read"]},
        verify={"checks": []},
    )
    found = [each for each in lint(made) if each.severity is Severity.LOWERS]
    assert [each.text.partition(",")[0].partition(":")[0] for each in found] == [
        "verify.checks is empty",
        "a dry run cannot show what these tasks change",
        "a dry run really runs 'Look' (check_mode",
    ]
    style = {each.place.name for each in lint(made) if each.severity is Severity.STYLE}
    assert style == {"README.md"}


TAGGED = """\
- name: First
  hosts: web
  tags: a, b
  roles: [{role: one, tags: c}]
  tasks:
    - tags: [d]
      block:
        - command: id
          tags: "e"
    - include_tasks: {file: more.yml, apply: {tags: [f]}}
"""


@pytest.mark.parametrize(
    ("more", "tags"),
    [
        ("", ("a", "b", "c", "d", "e", "f", "g")),
        ("    - include_tasks: '{{ name }}.yml'\n", None),
        ("    - command: id\n      tags: '{{ mine }}'\n", None),
    ],
)
def test_tags_are_those_of_all_that_is_read_or_unknown(
    tmp_path: Path, more: str, tags: tuple[str, ...] | None
) -> None:
    """Only where they are all known is one refused that is not among them."""
    made = catalog(tmp_path, TAGGED + more)
    place = made.get("go").play_file.parent
    (place / "roles/one/tasks").mkdir(parents=True)
    (place / "roles/one/tasks/main.yml").write_text("- command: id\n  tags: [g]\n")
    (place / "more.yml").write_text("- command: id\n")
    assert scan(made.get("go"), made.roles).tags == tags
