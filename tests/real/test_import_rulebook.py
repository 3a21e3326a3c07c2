"""`runner import rulebook`: documented rulebooks become entries, and the rest is named."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from runner.rulebook import file
from tests import small_project as small
from tests.command_line import answered, call
from tests.local_hosts import needs_ansible

real, with_ansible = needs_ansible
DOCS = Path(__file__).parents[2] / "docs"
ALERTMANAGER = [{"ansible.eda.alertmanager": {"host": "0.0.0.0", "port": 8000}}]
PLAY = """\
- name: Restart it
  hosts: {hosts}
  gather_facts: false
  tasks:
    - name: Write the text
      ansible.builtin.copy:
        content: "{{{{ {variable} | default('none') }}}}"
        dest: "{root}/wrote-{{{{ inventory_hostname }}}}"
        mode: "0600"
"""
FIRING = 'event.alert.labels.alertname == "ShopDown" and event.alert.status == "firing"'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project, and a folder of the team's playbooks."""
    small.make(tmp_path)
    (tmp_path / "site").mkdir()
    for name, hosts, variable in (
        ("restart.yml", "all", "service"),
        ("any.yml", "'{{ target }}'", "service"),
        ("eda.yml", "all", "ansible_eda.event.alert.labels.service"),
    ):
        text = PLAY.format(hosts=hosts, variable=variable, root=tmp_path)
        (tmp_path / "site" / name).write_text(text)
    return tmp_path


def rule(condition: Any = FIRING, name: str = "restart it", **more: Any) -> dict[str, Any]:
    made = {"name": name, "condition": condition}
    return made | (more or {"action": {"run_playbook": {"name": "restart.yml"}}})


def book(root: Path, *rules: Any, sources: Any = None, **keys: Any) -> Path:
    path = root / "rulebook.yml"
    ruleset = {"name": "Shop", "hosts": "all", "sources": sources or ALERTMANAGER}
    path.write_text(json.dumps([ruleset | {"rules": list(rules)} | keys]))
    return path


def imported(root: Path, path: Path, *words: object) -> Result:
    return call(
        root / "runner.yml", "import", "rulebook", path, "--playbooks", root / "site", *words
    )


def results(root: Path, *rules: Any, words: tuple[object, ...] = (), **keys: Any) -> list[Any]:
    """What is said of each rule of one ruleset."""
    done = imported(root, book(root, *rules, **keys), *words, "--output", "json")
    assert done.exit_code in (0, 1), done.output
    found: list[Any] = json.loads(done.stdout)
    assert (done.exit_code == 1) is any(each["missing"] for each in found)
    return found


def reason(root: Path, one: Any, **keys: Any) -> str:
    """Why a rule has no counterpart."""
    (found,) = results(root, one, **keys)
    assert found["missing"] and found["entry"] is None
    assert [path.name for path in (root / "playbooks").iterdir()] == ["mark"]
    return str(found["reason"])


def entry(root: Path, id: str = "restart_it") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((root / "playbooks" / id / "entry.yml").read_text())
    return found


def test_the_rulebook_of_the_documentation_becomes_an_entry(root: Path) -> None:
    """One rule on a label, one that only shows events."""
    said = imported(
        root,
        book(
            root,
            rule(
                'event.alert.labels.job == "fastapi" and event.alert.status == "firing"',
                "restart web server",
            ),
            rule("1 == 1", "Debug event output", action={"debug": None}),
        ),
    )
    assert said.exit_code == 0, said.output
    assert "restart web server: " in said.stdout and 'match: job="fastapi"' in said.stdout
    assert "Debug event output: needs no entry" in said.stdout
    assert "1 of 2 rules became an entry at level dry-run" in said.stderr
    found = entry(root, "restart_web_server")
    assert found["level"] == "dry-run" and found["match"] == ['job="fastapi"']
    assert found["playbook"] == "../../site/restart.yml"
    text = (root / "playbooks/restart_web_server/entry.yml").read_text()
    assert "# Imported from the ruleset 'Shop' of rulebook.yml" in text
    lint = call(root / "runner.yml", "catalog", "lint")
    assert lint.exit_code == 0, lint.output
    catalog = small.project(root / "runner.yml").catalog
    (only,) = catalog.eligible({"alertname": "X", "job": "fastapi", "instance": "web1"})
    assert only.id == "restart_web_server"


def test_the_page_shows_what_is_written(root: Path) -> None:
    """Its rulebook gives its entry, and what is said of the rules."""
    page = (DOCS / "coming-from-ansible-rulebook.md").read_text()
    blocks = dict(re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    play = PLAY.format(hosts="all", variable="service", root=root)
    (root / "restart.yml").write_text(play.replace("Restart it", "Restart the shop on its host"))
    (root / "rulebook.yml").write_text(blocks["rulebook.yml"])
    said = imported(root, root / "rulebook.yml", "--playbooks", root)
    assert said.exit_code == 1
    assert entry(root, "restart_the_shop") == yaml.safe_load(
        blocks["playbooks/restart_the_shop/entry.yml"]
    )
    for line in said.output.replace(f"{root}/", "").splitlines():
        assert line in page or line.startswith("Once the runner has read them")


@real
@with_ansible
def test_an_alert_leads_to_the_dry_run_of_the_rule(root: Path) -> None:
    """The label arrives as the variable, the limit is the alert's host, nothing is changed."""
    given = {"name": "restart.yml", "extra_vars": {"service": "{{ event.alert.labels.service }}"}}
    results(root, rule(action={"run_playbook": given}))
    body = root / "body.json"
    body.write_bytes(small.body(small.alert("ShopDown", service="cart")))
    done = call(root / "runner.yml", "alert", "handle", str(body))
    assert done.exit_code == 0, done.output
    shown = answered(root / "runner.yml", "incident", "show", "1")
    assert shown["incident"]["entry"] == "restart_it"
    assert shown["runs"][0]["outcome"] == "changed" and "cart" in json.dumps(shown["runs"][0])
    assert not list(root.glob("wrote-*"))


def test_variables_cooldown_and_host_are_taken_over(root: Path) -> None:
    given = {
        "name": "{{ play }}",
        "extra_vars": {
            "service": "{{ event.alert.labels['service'] }}",
            "count": 3,
            "fast": True,
            "names": ["a", "b"],
            "team": "{{ team.name }}",
        },
        "retries": 2,
        "verbosity": 3,
    }
    variables = root / "vars.yml"
    variables.write_text("play: restart.yml\nteam: {name: shop}\n")
    throttle = {
        "once_within": "90 seconds",
        "group_by_attributes": ["event.alert.labels.host", "event.alert.labels.alertname"],
    }
    (found,) = results(
        root,
        rule(
            "event.alert.labels.team == vars.team.name",
            throttle=throttle,
            actions=[{"print_event": {"pretty": True}}, {"run_playbook": given}],
        ),
        sources=[{"ansible.eda.alertmanager": {"data_host_path": "labels.host"}}],
        words=("--vars", variables),
    )
    made = entry(root)
    assert made["match"] == ['team="shop"']
    assert made["target"] == {"label": "host"}
    assert made["limits"] == {"cooldown": "1m30s"}
    assert made["parameters"] == {
        "service": {"from": "label service"},
        "count": {"from": "constant", "value": 3, "type": "int"},
        "fast": {"from": "constant", "value": True, "type": "bool"},
        "names": {"from": "constant", "value": ["a", "b"], "type": "list", "elements": "str"},
        "team": {"from": "constant", "value": "shop"},
    }
    assert found["notes"] == ["it is not repeated when it fails: a person is told"]
    assert call(root / "runner.yml", "catalog", "lint").exit_code == 0


def test_a_throttle_over_all_hosts_is_a_rate_as_well(root: Path) -> None:
    within = {"once_within": "200 milliseconds", "group_by_attributes": ["event.alert.labels.job"]}
    action = {"run_playbook": {"name": "restart.yml"}}
    results(root, rule(throttle=within, action=action))
    assert entry(root)["limits"] == {"cooldown": "1s", "max_runs": "1/1s"}


def test_a_job_template_needs_its_playbook(root: Path) -> None:
    template = {
        "name": "Restart",
        "organization": "Default",
        "job_args": {
            "limit": "{{ event.alert.labels.node }}",
            "job_tags": "now, later",
            "extra_vars": {"service": "cart"},
        },
    }
    one = rule(action={"run_job_template": template})
    assert "--job-template NAME=PLAYBOOK" in reason(root, one)
    words = ("--job-template", "Restart=restart.yml")
    (missing,) = results(root, one, words=words)
    assert "no task has the tag later; tags of the playbook: none" in missing["reason"]
    play = (
        (root / "site/restart.yml")
        .read_text()
        .replace("  hosts:", "  tags: [now, later]\n  hosts:")
    )
    (root / "site/restart.yml").write_text(play)
    results(root, one, words=words)
    made = entry(root)
    assert made["target"] == {"label": "node"} and made["tags"] == ["now", "later"]
    assert made["parameters"] == {"service": {"from": "constant", "value": "cart"}}


def test_a_webhook_is_read_alert_by_alert_only_when_asked(root: Path) -> None:
    one = rule('event.payload.alerts[0].labels.job == "shop" and event.payload.status == "firing"')
    webhook = [{"ansible.eda.webhook": {"port": 5000}}]
    assert "--each-alert" in reason(root, one, sources=webhook)
    (found,) = results(root, one, sources=webhook, words=("--each-alert",))
    assert found["match"] == ['job="shop"']
    assert "ran it on all; here it runs on the host" in found["notes"][0]


def test_list_says_the_same_and_writes_nothing(root: Path) -> None:
    (found,) = results(root, rule(), words=("--list",))
    assert found["entry"] == "restart_it" and found["files"] == []
    assert not (root / "playbooks/restart_it").exists()


def test_into_another_folder(root: Path) -> None:
    (found,) = results(root, rule(), words=("--into", root / "review/entries"))
    made = yaml.safe_load((root / "review/entries/restart_it/entry.yml").read_text())
    assert made["playbook"] == "../../../site/restart.yml"
    assert found["files"][0] == str(root / "review/entries/restart_it/entry.yml")
    (again,) = results(root, rule(), words=("--into", root / "review/entries"))
    assert again["missing"] and "already" in again["reason"]


def test_a_rule_leaves_out_what_earlier_rules_take(root: Path) -> None:
    """Whatever those do: there only the first rule that holds fires."""
    critical = f'{FIRING} and event.alert.labels.severity == "critical"'
    module = {"run_module": {"name": "ansible.builtin.service"}}
    found = results(
        root,
        rule(critical, "page", action=module),
        rule('event.alert.labels.job == "off"', "off", enabled=False, action=module),
        rule(name="Restart it"),
        rule('event.alert.labels.job == "shop"', "later"),
        rule('event.alert.annotations.x == "y"', "unread", action={"debug": None}),
        rule('event.alert.labels.job == "db"', "restart-it"),
        rule("1 == 1", "show", action={"debug": None}),
        rule('event.alert.labels.job == "web"', "never"),
    )
    says = {each["rule"]: each for each in found}
    assert says["Restart it"]["match"] == [
        'alertname="ShopDown"', 'severity!~"(?-i:critical)"'
    ]  # fmt: skip
    assert says["later"]["match"] == ['job="shop"', 'alertname!="ShopDown"']
    assert says["later"]["notes"] == []
    assert "restart_it is that of a rule above it" in says["restart-it"]["reason"]
    assert "it never fires" in says["never"]["reason"] and not says["never"]["missing"]


def test_what_an_earlier_rule_takes_may_not_be_known(root: Path) -> None:
    first = rule('event.alert.annotations.x == "y"', "unread", action={"debug": None})
    found = results(root, first, rule())
    assert "leaves to unread what both are for" in found[1]["notes"][0]


def test_with_match_multiple_rules_both_are_entries(root: Path) -> None:
    later = rule('event.alert.labels.job == "shop"', "later")
    other = rule('event.alert.labels.alertname == "Other"', "other")
    found = results(root, rule(name="first"), other, later, match_multiple_rules=True)
    assert found[0]["notes"] == found[1]["notes"] == []
    assert found[2]["match"] == ['job="shop"']
    assert "the same alerts as first, other: ansible-rulebook ran both" in found[2]["notes"][0]


def test_a_folder_that_cannot_be_written_is_named(root: Path) -> None:
    (root / "full").write_text("")
    done = imported(root, book(root, rule()), "--into", root / "full/entries")
    assert done.exit_code == 2 and "cannot be written" in done.stderr


def test_a_part_for_resolved_alerts_is_left_out_and_said(root: Path) -> None:
    text = f'({FIRING}) or (event.alert.labels.job == "a" and event.alert.status == "resolved")'
    (found,) = results(root, rule(text))
    assert found["match"] == ['alertname="ShopDown"']
    assert "resolved alerts is left out" in found["notes"][0]


def test_any_gives_alternatives(root: Path) -> None:
    resolved = 'event.alert.status == "resolved"'
    shop = 'event.alert.labels.job == "shop"'
    (found,) = results(root, rule({"any": [FIRING, shop, f"{FIRING} and {shop}", resolved]}))
    assert found["match"] == [['alertname="ShopDown"'], ['job="shop"']]
    assert entry(root)["match"] == found["match"]


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (rule({"all": [FIRING, "event.i == 1"]}), "waits for several events (all)"),
        (rule({"not_all": [FIRING], "timeout": "5 minutes"}), "several events (not_all)"),
        (rule({"any": [FIRING, "event.i == 1"]}), "reads event.i, which no alert"),
        (rule("event.alert.annotations.summary == 'x'"), "put it into a label"),
        (rule("event.alert.startsAt == 'x'"), "which is no label"),
        (rule("fact.x == 'y'"), "facts and other events"),
        (rule("event.payload.host == 'x'"), "intake.sources"),
        (rule("event.alert.labels.x > 5"), "a label is a text"),
        (rule(True), "every alert that fires"),
        (rule(action={"run_module": {"name": "ansible.builtin.service"}}), "run_module"),
        (rule(action={"run_workflow_template": {"name": "x", "organization": "y"}}), "`steps`"),
        (rule(action={"set_fact": {"fact": {"a": 1}}}), "keeps no facts"),
        (rule(action={"fly": {}}), "its action fly has no counterpart"),
        (rule(actions=[{"run_playbook": {"name": name}} for name in ("restart.yml", "any.yml")]),
         "several playbooks"),
        (rule(action={"run_playbook": {"name": "gone.yml"}}), "--playbooks"),
        (rule(action={"run_playbook": {}}), "names no playbook"),
        (rule(action={"run_playbook": {"name": "any.yml"}}), "which only a run fills in"),
        (rule(action={"run_playbook": {"name": "eda.yml"}}), "reads ansible_eda"),
        (rule(action={"run_playbook": {"name": "restart.yml", "var_root": "alert"}}), "var_root"),
        (rule(throttle={"once_after": "5 minutes", "group_by_attributes": []},
              action={"run_playbook": {"name": "restart.yml"}}), "once_after"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_named_with_its_reason(
    root: Path, one: dict[str, Any], said: str
) -> None:
    assert said in reason(root, one)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"a": "{{ event.alert.labels.x | lower }}"}, "only a label or a variable"),
        ({"a": "{{ event.alert.annotations.x }}"}, "put it into a label"),
        ({"a": "{{ event.alert.status }}"}, "always fires here"),
        ({"a": ["{{ event.alert.labels.x }}"]}, "a template inside"),
        ({"a": None}, "is null"),
        ({"ansible_host": "x"}, "cannot be a parameter"),
        ({"Upper": "x"}, "cannot be a parameter"),
        ({"a": [{"b": 1}, "c"]}, "value"),
    ],
)
def test_variables_that_cannot_be_passed_are_named(
    root: Path, given: dict[str, Any], said: str
) -> None:
    action = {"run_playbook": {"name": "restart.yml", "extra_vars": given}}
    assert said in reason(root, rule(action=action))


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        ([{"ansible.eda.kafka": {"topic": "x"}}], "no source that takes alerts"),
        ([{"mine.own.alertmanager": {}}], "no source that takes alerts"),
        ([{"ansible.eda.alertmanager": None, "filters": [{"ansible.eda.json_filter": {}}]}],
         "by the filter ansible.eda.json_filter"),
        ([{"ansible.eda.alertmanager": {"data_alerts_path": ""}}], "elsewhere than `alerts`"),
        ([{"ansible.eda.alertmanager": {"data_host_path": "annotations.host"}}], "something else"),
        ([{"ansible.eda.alertmanager": {"data_host_path": "labels.a"}},
          {"ansible.eda.alertmanager": {}}], "different labels"),
    ],
)  # fmt: skip
def test_sources_without_a_counterpart_are_named(root: Path, sources: Any, said: str) -> None:
    assert said in reason(root, rule(), sources=sources)


def test_a_filter_may_name_the_host(root: Path) -> None:
    inserted = {"ansible.eda.insert_hosts_to_meta": {"host_path": "alert.labels.node"}}
    results(root, rule(), sources=[{"ansible.eda.alertmanager": {}, "filters": [inserted]}])
    assert entry(root)["target"] == {"label": "node"}


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c {<<: [*b, *b]}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rulebook"),
        ("[]", "is empty"),
        ("a: 1", "no rulebook, which is a list"),
        ("[1]", "no rulebook"),
        ("- hosts: all\n  tasks: []\n", "runner catalog adopt"),
        ("- {hosts: all, rules: [], tasks: []}", "ruleset 'None': name"),
        ("- name: x\n  hosts: all\n  sources: []\n  rules: [{name: r}]\n", "ruleset 'x', rule 'r'"),
        (f"- {{x: [{'[' * 200}{']' * 200}]}}", "nested too deeply"),
        ("[" * 500_000, "nested too deeply"),
        (BOMB, "uses a YAML alias"),
        ("- {a: 1", "is not YAML"),
        ("- {a: 1, a: 2}", "written twice"),
        ("--- []\n--- []", "several documents"),
        ("- !!python/object/apply:os.system [id]", "is not YAML"),
        ("x" * (file.MAX_BYTES + 1), "larger than"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_what_is_no_rulebook_is_refused_in_a_sentence(
    root: Path, text: str | bytes, said: str
) -> None:
    path = root / "rulebook.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = imported(root, path)
    assert done.exit_code == 2, done.output
    assert said in " ".join(done.stderr.split()) and "Traceback" not in done.output
    assert len(done.stderr) < 1000


def test_what_is_no_file_is_refused(root: Path) -> None:
    os.mkfifo(root / "pipe")
    for path, said in ((root / "gone.yml", "cannot be read"), (root / "pipe", "is not a file")):
        done = imported(root, path)
        assert done.exit_code == 2 and said in done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"action": None}, "give one of action and actions"),
        ({"action": {"debug": None, "none": None}}, "one key"),
        ({"condition": {"some": []}}, "one of all, any and not_all"),
        ({"throttle": {"once_within": "5m", "group_by_attributes": []}}, "5 minutes"),
        ({"when": "x"}, "unknown key when"),
    ],
)
def test_a_rule_of_the_wrong_shape_is_named(root: Path, change: dict[str, Any], said: str) -> None:
    done = imported(root, book(root, rule() | change))
    assert done.exit_code == 2
    assert "ruleset 'Shop', rule 'restart it'" in done.stderr and said in done.stderr


def test_too_many_rules_are_refused(root: Path) -> None:
    done = imported(root, book(root, *(rule(name=f"r{n}") for n in range(file.MAX_RULES + 1))))
    assert done.exit_code == 2 and "split it" in done.stderr


def test_a_wrong_job_template_is_a_wrong_command_line(root: Path) -> None:
    done = imported(root, book(root, rule()), "--job-template", "Restart")
    assert done.exit_code == 2 and "NAME=PLAYBOOK" in done.stderr


def test_a_disabled_rule_needs_no_entry(root: Path) -> None:
    action = {"run_playbook": {"name": "restart.yml"}}
    (found,) = results(root, rule(enabled=False, action=action))
    assert not found["missing"] and found["reason"] == "it is disabled"
