"""Text from outside stays text: templates, commands and YAML in every place of an alert.

Each text would touch a file of its own if anything evaluated it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runner import acts
from runner import shipped as shipped_files
from runner.catalog.entry import Entry
from runner.daemon import Daemon
from runner.errors import NotFound, Refused, UsageError
from runner.execute import run as execute
from runner.execute.request import Loading, RunRequest
from runner.incident import Purpose, State
from runner.project import Project
from runner.store import incidents
from tests import small_project as small
from tests.acceptance.service_lab import REPOSITORY
from tests.once import once

pytestmark = [pytest.mark.real, pytest.mark.slow]

#: `@` stands for the canary file. One line each, so that a parameter may hold it.
TEXTS = (
    "{{ lookup('pipe', 'touch @') }}",
    "{{ query('ansible.builtin.pipe', 'touch @') }}",
    "{% raw %}x{% endraw %}{{ lookup('pipe', 'touch @') }}",
    "{# x #}{% set x = lookup('pipe', 'touch @') %}{{ x }}",
    "{% if lookup('pipe', 'touch @') %}x{% endif %}",
    '{{ \'{{ lookup("pipe", "touch @") }}\' }}',
    "{{ cycler.__init__.__globals__.os.system('touch @') }}",
    "!unsafe {{ lookup('pipe', 'touch @') }}",
    '!!python/object/apply:os.system ["touch @"]',
    "{\"__ansible_unsafe\": \"{{ lookup('pipe', 'touch @') }}\"}",
    "$(touch @)",
    "`touch @`",
    "x; touch @",
    "x' && touch @ && echo '",
    'x" | touch @ #',
    "-e @@ --extra-vars=@",
)
#: What a parameter refuses, and every other place must bear.
LINES = (
    "x\n- hosts: all\n  tasks: [{ansible.builtin.shell: touch @}]\n",
    "x\n{{ lookup('pipe', 'touch @') }}",
    "#jinja2: variable_start_string: '[%'\n[% lookup('pipe', 'touch @') %]",
    "x\r\ntouch @\r\n",
)
NO = (NotFound, Refused, UsageError)
NAMES = [f"text_{number}" for number in range(len(TEXTS))]

ROLE = """\
- name: "Say {{ text_0 }} and {{ text_1 }}"
  ansible.builtin.debug:
    msg: "{{ item }}"
  loop: "{{ texts }}"
  check_mode: false
- name: Keep it as a fact, which a second look could evaluate
  ansible.builtin.set_fact:
    again: "{{ texts }}"
    one: "{{ text_0 }}"
- name: Write it
  ansible.builtin.copy:
    dest: "ROOT/written"
    content: "{{ again | join('\\n') }}"
    mode: "0600"
- name: Write it from a template
  ansible.builtin.template:
    src: one.j2
    dest: "ROOT/templated"
    mode: "0600"
- name: Give it to a shell
  ansible.builtin.shell: "printf '%s\\n' {{ again | map('quote') | join(' ') }} > ROOT/echoed"
  changed_when: false
  check_mode: false
- name: Give it to a command
  ansible.builtin.command:
    argv: "{{ ['echo', one] + again }}"
  changed_when: false
  check_mode: false
- name: Ask about it
  ansible.builtin.assert:
    that: item != 'nothing'
    success_msg: "{{ item }} is right"
  when: item | length > 0 and one is defined
  loop: "{{ again }}"
- name: Report it
  ansible.builtin.set_stats:
    data: {remediation: {marked: true, said: "{{ again }}", one: "{{ one }}"}}
    per_host: false
    aggregate: false
"""


class Canaries:
    """Texts that each touch a file of this folder, if they are ever more than text."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def text(self, text: str) -> str:
        """The text, with a file of its own."""
        self._count += 1
        return text.replace("@", str(self.folder / str(self._count)))

    def check(self) -> None:
        """Nothing was evaluated."""
        assert self._count > 0 and os.listdir(self.folder) == []


@pytest.fixture
def canaries() -> Iterator[Canaries]:
    with tempfile.TemporaryDirectory(prefix="c") as folder:  # short: a label is, too
        made = Canaries(Path(folder))
        yield made
        made.check()


@contextmanager
def working(project: Project) -> Iterator[Project]:
    daemon = Daemon(project)
    daemon.start()
    try:
        yield project
    finally:
        daemon.stop()
        project.close()


def talkative(root: Path, source: str, **options: Any) -> Path:
    """The small project with a role that uses all its texts in every way that a role may."""
    parameters = {name: {"from": source.replace("NAME", name)} for name in NAMES}
    entry = {"match": ['service="shop"'], "parameters": parameters}
    config = small.make(root, entry=entry, **options)
    listed = "texts: [" + ", ".join(f'"{{{{ {name} }}}}"' for name in NAMES) + "]"
    specs = {name: {"type": "str", "required": True, "description": "Text."} for name in NAMES}
    role = root / "roles/mark"
    (role / "meta/argument_specs.yml").write_text(
        json.dumps({"argument_specs": {"main": {"options": specs}}})
    )
    for name, text in {
        "tasks/main.yml": ROLE.replace("ROOT", str(root)),
        "vars/main.yml": listed,
        "templates/one.j2": "{% for text in texts %}{{ text }}\n{% endfor %}{{ text_0 }}",
    }.items():
        (role / name).parent.mkdir(exist_ok=True)
        (role / name).write_text(text)
    return config


def is_written(root: Path, texts: list[str]) -> None:
    """Every text reached the host, letter by letter."""
    assert (root / "written").read_text() == "\n".join(texts)
    assert (root / "templated").read_text() == "\n".join([*texts, texts[0]])
    assert (root / "echoed").read_text() == "\n".join([*texts, ""])


def poisoned(canaries: Canaries, **labels: str) -> dict[str, Any]:
    """An alert with canaries in its name, labels, names of labels, annotations and links."""
    everything = [canaries.text(text) for text in TEXTS + LINES]
    alert = small.alert(canaries.text(TEXTS[0]), **labels)
    alert["labels"] |= {f"other_{n}": text for n, text in enumerate(everything)}
    alert["labels"] |= {canaries.text(TEXTS[n]): "x" for n in range(4)}
    alert["annotations"] = {f"note_{n}": text for n, text in enumerate(everything)}
    alert["annotations"] |= {canaries.text(TEXTS[0]): "x", "runbook_url": everything[1]}
    alert["generatorURL"] = f"http://prometheus/graph?g0.expr={everything[0]}"
    return alert


@pytest.mark.parametrize("level", once("approve", "observe", "dry-run", "auto"))
def test_an_alert_full_of_templates_is_text_at_every_level(
    tmp_path: Path, canaries: Canaries, store_url: str, level: str
) -> None:
    """Invariant 5: in check mode, for the recheck and for real, and in what people are told."""
    settings = {"level": level, "notify": {"console": True}}
    project = small.project(talkative(tmp_path, "label NAME", settings=settings), store_url)
    labels = {name: canaries.text(text) for name, text in zip(NAMES, TEXTS, strict=True)}
    with working(project):
        small.deliver(project, poisoned(canaries, **labels))
        found = small.wait(project, until=lambda one: small.waiting(one) or one.state.ended)
        if small.waiting(found.incident):
            acts.answer(project, found.approvals[0].id, answer="approved", by="user:ann")
            found = small.wait(project)
    wanted = {"observe": State.OBSERVED, "dry-run": State.DRY_RUN}.get(level, State.FIXED)
    assert found.incident.state is wanted, found.incident.reason
    purposes = {run.purpose for run in found.runs}
    assert (Purpose.DRY_RUN in purposes) is (level != "observe")
    if wanted is State.FIXED:
        is_written(tmp_path, list(labels.values()))
        assert found.runs[-1].results["said"] == list(labels.values())


def test_values_of_a_person_are_text(tmp_path: Path, canaries: Canaries, store_url: str) -> None:
    """Invariant 5: what is typed on a command line, too."""
    project = small.project(talkative(tmp_path, "choice"), store_url)
    values = {name: canaries.text(text) for name, text in zip(NAMES, TEXTS, strict=True)}
    with working(project):
        acts.request_run(project, entry="mark", hosts=["web1"], values=values, by="user:ann")
        found = small.wait(project)
    assert found.incident.state is State.FIXED, found.incident.reason
    assert found.runs[-1].results["one"] == values["text_0"]


def test_what_is_no_host_entry_or_value_is_refused(
    tmp_path: Path, canaries: Canaries, store_url: str
) -> None:
    """Invariants 5 and 6: before anything is stored or run."""
    project = small.project(talkative(tmp_path, "choice"), store_url)
    good = dict.fromkeys(NAMES, "x")
    for text in map(canaries.text, TEXTS + LINES):
        for host in (text, f"web1,{text}", f"web1:{text}", f"web1 {text}"):
            with pytest.raises(NO):
                acts.request_run(project, entry="mark", hosts=[host], values=good, by="user:ann")
        for options in (
            {"entry": text, "values": good},
            {"entry": "mark", "values": good | {text: "x"}},
            {"entry": "mark", "values": good | {"ansible_connection": text}},
        ):
            with pytest.raises(NO):
                acts.request_run(project, hosts=["web1"], by="user:ann", **options)
    for text in map(canaries.text, LINES):
        with pytest.raises(NO):
            values = good | {"text_0": text}
            acts.request_run(project, entry="mark", hosts=["web1"], values=values, by="user:ann")
    with project.database.read() as tx:
        assert incidents.find(tx) == ()
    project.close()


def test_a_template_for_a_host_is_not_located(
    tmp_path: Path, canaries: Canaries, store_url: str
) -> None:
    """Invariants 5 and 6: nor is a host name with something behind it."""
    project = small.project(small.make(tmp_path), store_url)
    texts = [canaries.text(text) for text in TEXTS + LINES]
    hosts = [*texts, *(f"web1,{text}" for text in texts), *(f"web1 {text}" for text in texts)]
    with working(project):
        small.deliver(project, *(small.alert(host=host) for host in hosts))
        for number in range(1, len(hosts) + 1):
            found = small.wait(project, number)
            assert found.incident.state is State.ESCALATED, found.incident.reason
            assert found.runs == () and "not located" in found.incident.reason


def shipped(root: Path, **settings: Any) -> Path:
    """The shipped catalog with the demo's inventory, where every host is this machine."""
    ignored = shutil.ignore_patterns("__pycache__", "molecule")
    for name in ("playbooks", "inventories/demo"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=ignored)
    shutil.copy(REPOSITORY / "ansible.cfg", root)
    content = small.default_settings() | {
        "project": {"inventory": ["inventories/demo"]},
        "correlation": {"same_host": False},
        "policy": {"max_runs": "100/1h"},
    }
    (root / "runner.yml").write_text(json.dumps(content | settings))
    return root / "runner.yml"


#: Alert → the label that its entry makes a variable of.
SHIPPED = {"ServiceDown": "service", "BadRelease": "release", "LogTooLarge": "log"}


def test_the_shipped_entries_take_labels_as_text(
    tmp_path: Path, canaries: Canaries, store_url: str
) -> None:
    """Invariant 5: the probe and check mode run with them, and refuse them."""
    project = small.project(shipped(tmp_path), store_url)
    alerts = []
    for (name, label), text in zip(SHIPPED.items(), (0, 12, 5), strict=True):
        texts = {"service": "app", label: canaries.text(TEXTS[text])}
        alert = poisoned(canaries, host="web1", **texts)
        alert["labels"] |= {"alertname": name, "severity": "page"}
        alerts.append(alert)
    with working(project):
        small.deliver(project, *alerts)
        purposes = set()
        for number in range(1, len(alerts) + 1):
            found = small.wait(project, number, seconds=150)
            assert found.incident.state is State.ESCALATED, found.incident.reason
            purposes |= {run.purpose for run in found.runs}
    assert purposes == {Purpose.PROBE, Purpose.DRY_RUN}


@pytest.mark.parametrize(("check", "warm"), once((False, True), (True, False), (False, False)))
def test_the_shipped_roles_take_values_as_text(
    tmp_path: Path, canaries: Canaries, check: bool, warm: bool
) -> None:
    """Invariant 5: even when nothing in front of Ansible would have stopped them."""
    project = Project.load(shipped(tmp_path))
    assert project.warm is not None, "tests/shared_warm.py gives every project one"
    for number, entry in enumerate(project.catalog.entries.values()):
        specs = project.catalog.schema(entry.id)
        if not {specs[name].type for name in entry.parameters} & {"str", "path", "list"}:
            continue  # nothing that could be text: a reboot for instance
        text = canaries.text(TEXTS[(7 * number) % len(TEXTS)])
        template = canaries.text(TEXTS[0])
        wanted = request(project, entry, text, template, check)
        result = execute.run(wanted, warm=project.warm if warm else None)
        assert result.outcome is not None and result.stats, result.reason
    project.close()


def request(project: Project, entry: Entry, text: str, template: str, check: bool) -> RunRequest:
    """A run of the entry whose every text is a canary."""
    specs = project.catalog.schema(entry.id)
    kinds = {name: specs[name].type for name in entry.parameters}
    values = {"str": text, "path": text, "list": [text, template], "int": 5, "bool": False}
    return RunRequest(
        id="c" * 32,
        entry_id=entry.id,
        playbook=entry.play_file,
        roles_path=project.catalog.roles.paths,
        loading=Loading(collection_paths=(shipped_files.collections(),)),
        inventory=project.config.project.inventory,
        hosts=("web1",),
        allowed=frozenset({"web1"}),
        variables={name: values[kind] for name, kind in kinds.items()},
        check=check,
        timeout=timedelta(seconds=60),
        ansible_config=project.config.project.ansible_config,
        artifacts=project.state / "artifacts" / entry.id,
    )
