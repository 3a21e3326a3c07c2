"""Coverage: alert by alert, which entries there are, what it depends on, and the level now."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import acts
from runner.acts import coverage
from runner.catalog import Catalog, load
from runner.catalog.coverage import OWN_ALERTS, AlertRule, fits, rules_in
from runner.errors import UsageError
from runner.incident import Level
from runner.project import Project
from runner.text.matcher import Matcher
from tests import small_project as small
from tests.command_line import answered, call
from tests.policy_case import entry
from tests.real_alertmanager import RealPrometheus, start_prometheus

__all__ = ["start_prometheus"]  # a fixture

RULES = """
groups:
  - name: hosts
    rules:
      - {alert: Down, expr: up == 0, labels: {severity: page}}
      - {alert: Down, expr: up == 0, for: 1m, labels: {severity: info}}
      - {alert: Full, expr: x > 1}
      - {record: a:b, expr: y}
  - name: others
    rules:
      - {alert: Strange, expr: z, labels: {team: "{{ $labels.team }}"}}
"""
INPUTS = Path(__file__).parents[1] / "inputs"
ROOT = Path(__file__).parents[2]
MATCH = ['alertname=~"Down|Full"', 'severity!="info"']


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yml"
    path.write_text(RULES)
    return path


def project_with(root: Path, **options: Any) -> Path:
    return small.make(root, entry={"match": MATCH}, **options)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Project]:
    made = small.project(project_with(tmp_path))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("labels", "match", "depends"),
    [
        ({}, ['alertname="Down"'], ()),
        ({"severity": "page"}, ['severity="page"'], ()),
        ({"severity": "page"}, ['severity="info"'], None),
        ({}, ['alertname="Up"', 'severity="page"'], None),
        ({}, ['severity="page"', 'job=~".+"', 'severity!="x"'], ("severity", "job")),
        ({"severity": ""}, ['severity="page"'], None),
        ({"team": "{{ $labels.team }}"}, ['team="db"'], ("team",)),
        ({"alertname": "Other"}, ['alertname="Down"'], ()),
        ({}, [], None),
    ],
)
def test_a_matcher_fits_does_not_or_depends(
    tmp_path: Path, labels: dict[str, str], match: list[str], depends: tuple[str, ...] | None
) -> None:
    small.make(tmp_path, entry={"match": match})
    found = fits(
        AlertRule(name="Down", labels=labels, place=""),
        load(tmp_path / "playbooks", (tmp_path / "roles",)),
    )
    assert [fit.depends for fit in found] == ([] if depends is None else [depends])


VALUES = st.sampled_from(["", "a", "b", "page"])
LABELS = st.dictionaries(st.sampled_from(["severity", "job", "team"]), VALUES)
MATCHERS = st.builds(
    Matcher,
    st.sampled_from(["alertname", "severity", "job", "team"]),
    st.sampled_from(["=", "!=", "=~", "!~"]),
    st.sampled_from(["", "a", "b", "page", "Down"]),
)


@given(labels=LABELS, others=LABELS, match=st.lists(MATCHERS, min_size=1, max_size=3))
def test_it_never_says_what_the_alert_will_prove_wrong(
    labels: dict[str, str], others: dict[str, str], match: list[Matcher]
) -> None:
    """Certain is certain, and what is left out cannot become eligible, whatever else it carries."""
    heal = entry(id="heal", match=match)
    catalog = Catalog(playbooks=Path(), roles=(), entries={"heal": heal}, schemas={})
    found = fits(AlertRule(name="Down", labels=labels, place=""), catalog)
    fires = others | labels | {"alertname": "Down"}
    if not found:
        assert not heal.eligible(fires)
    elif not found[0].depends:
        assert heal.eligible(fires)


@given(
    labels=LABELS,
    others=LABELS,
    match=st.lists(st.lists(MATCHERS, min_size=1, max_size=3), max_size=3),
    consider=st.lists(MATCHERS, max_size=2),
)
def test_alternatives_and_consider_are_told_apart(
    labels: dict[str, str],
    others: dict[str, str],
    match: list[list[Matcher]],
    consider: list[Matcher],
) -> None:
    """What is counted by match may be decided by rules; what is counted by consider never."""
    heal = entry(id="heal", match=match, consider=consider)
    catalog = Catalog(playbooks=Path(), roles=(), entries={"heal": heal}, schemas={})
    rule = AlertRule(name="Down", labels=labels, place="")
    found = fits(rule, catalog)
    by_match = [fit for fit in found if not fit.considered]
    by_consider = [fit for fit in found if fit.considered]
    fires = others | labels | {"alertname": "Down"}
    assert not (by_match and by_consider)
    if heal.eligible(fires):
        assert by_match
    if heal.considered(fires):
        assert by_match or by_consider
    if by_consider and not by_consider[0].depends:
        assert heal.considered(fires)
    if by_match and not by_match[0].depends:
        assert heal.eligible(fires)


def test_what_may_only_be_proposed_is_counted_apart(tmp_path: Path, rules: Path) -> None:
    path = small.make(tmp_path, entry={"match": MATCH, "consider": ['team="db"']})
    text = call(path, "catalog", "coverage", "--rules", rules)
    line = next(line for line in text.stdout.splitlines() if line.startswith("Strange"))
    columns = ["team={{", "$labels.team", "}}", "mark", "(proposed)", "approve", "team"]
    assert line.split()[1:] == columns
    assert "for 2 one may be proposed; 0 have none." in text.stderr
    said = answered(path, "catalog", "coverage", "--rules", rules)
    assert (said["covered"], said["considered"], said["share"]) == (2, 2, 0.5)
    strange = next(each for each in said["alerts"] if each["alert"] == "Strange")
    assert [(each["entry"], each["considered"]) for each in strange["entries"]] == [("mark", True)]


def test_it_reads_rule_files_and_manifests(rules: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "crd.yml"
    content = {"kind": "PrometheusRule", "spec": {"groups": [{"name": "a", "rules": [
        {"alert": "X", "expr": "1"}]}]}}  # fmt: skip
    manifest.write_text(json.dumps(content))
    assert [rule.name for rule in rules_in(rules)] == ["Down", "Down", "Full", "Strange"]
    assert [(rule.name, rule.place) for rule in rules_in(manifest)] == [("X", "crd.yml, group a")]


@pytest.mark.parametrize(
    "text",
    ["[]", "a: b", "groups: 3", "groups: [x]", "groups: [{rules: [{alert: A}]}]",
     "groups: [{name: a, rules: [3]}]", "{", "a: 1\na: 2", "\x00",
     "groups: [{name: a, rules: [{alert: A, labels: x}]}]"],
)  # fmt: skip
def test_a_file_that_is_none_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yml"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"bad\.yml"):
        rules_in(path)
    for absent in (tmp_path, tmp_path / "bad.yml" / "x", tmp_path / "none.yml"):
        with pytest.raises(UsageError, match="cannot be read"):
            rules_in(absent)


def test_the_level_is_what_holds_before_any_alert(opened: Project, rules: Path) -> None:
    found = coverage.coverage(opened, coverage.rules_of(opened, [rules]))
    assert (found.covered, found.certain, len(found.rules)) == (2, 1, 4)
    assert found.standings["mark"].level is Level.AUTO
    acts.pause(opened, by="user:ann", reason="maintenance")
    paused = coverage.coverage(opened, coverage.rules_of(opened, [rules])).standings["mark"]
    assert (paused.level, [r.rule for r in paused.held_by]) == (Level.OBSERVE, ["pause"])


def test_hosts_that_allow_less_are_counted(tmp_path: Path, rules: Path) -> None:
    inventory = json.loads(json.dumps(small.INVENTORY))
    inventory["all"]["hosts"] |= {"db1": {"runner_level": "approve"}, "db2": {"runner_level": "x"}}
    opened = small.project(project_with(tmp_path, inventory=inventory))
    found = coverage.coverage(opened, coverage.rules_of(opened, [rules]))
    assert found.standings["mark"].hosts == {"observe": 1, "approve": 1}
    opened.close()


def test_a_play_with_an_unknown_radius_never_shows_auto(tmp_path: Path, rules: Path) -> None:
    path = project_with(tmp_path)
    tasks = tmp_path / "roles/mark/tasks/main.yml"
    tasks.write_text(tasks.read_text() + '- ansible.builtin.ping:\n  delegate_to: "{{ peer }}"\n')
    text = call(path, "catalog", "coverage", "--rules", rules).stdout
    line = next(line for line in text.splitlines() if "severity=page" in line)
    assert line.split()[3] == "approve"
    assert "radius" in text


def test_the_table_names_what_is_missing_and_what_it_depends_on(
    tmp_path: Path, rules: Path
) -> None:
    result = call(project_with(tmp_path), "catalog", "coverage", "--rules", rules)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["Down", "severity=page", "mark", "auto"] in lines
    assert ["Full", "mark", "auto", "severity"] in lines
    assert "no entry matches (rules.yml, group others)" in result.stdout
    assert "2 of 4 alerts have an entry, 1 of these only by labels" in result.stderr


@pytest.mark.parametrize(("percent", "code"), [("50", 0), ("51", 1), ("0", 0), ("100", 1)])
def test_it_can_fail_a_pipeline(tmp_path: Path, rules: Path, percent: str, code: int) -> None:
    words = ("catalog", "coverage", "--rules", rules, "--fail-under", percent)
    assert call(project_with(tmp_path), *words).exit_code == code


def test_without_a_server_and_without_files_it_says_what_to_do(tmp_path: Path) -> None:
    result = call(project_with(tmp_path), "catalog", "coverage")
    assert result.exit_code == 2
    assert "--rules" in result.stderr


@pytest.mark.real
def test_it_reads_the_rules_of_a_real_prometheus(
    tmp_path: Path, start_prometheus: Callable[..., RealPrometheus]
) -> None:
    server = start_prometheus(rules=RULES)
    path = project_with(tmp_path, settings={"prometheus": {"url": server.url}})
    said = answered(path, "catalog", "coverage")
    entries = {
        (each["alert"], each["labels"].get("severity")): [e["depends"] for e in each["entries"]]
        for each in said["alerts"]
    }
    assert entries == {
        ("Down", "page"): [[]],
        ("Down", "info"): [],
        ("Full", None): [["severity"]],
        ("Strange", None): [],
    }
    assert (said["total"], said["covered"], said["certain"], said["share"]) == (4, 2, 1, 0.5)
    server.stop()
    gone = call(path, "catalog", "coverage")
    assert (gone.exit_code, "cannot be reached" in gone.stderr) == (7, True)


@pytest.mark.parametrize("name", ["null", "empty_map", "comment"])
def test_a_file_without_groups_has_no_rules(name: str) -> None:
    """`tests/inputs/R1`: Prometheus loads it, so it is no error, alone or among others."""
    assert rules_in(INPUTS / "R1-empty-rules" / f"{name}.yml") == []


def test_an_empty_file_among_others_costs_nothing(tmp_path: Path, rules: Path) -> None:
    empty = INPUTS / "R1-empty-rules" / "null.yml"
    path = project_with(tmp_path)
    result = answered(path, "catalog", "coverage", "--rules", empty, "--rules", rules)
    assert result["total"] == 4


def test_labels_of_a_group_count_and_a_rule_s_own_win(tmp_path: Path) -> None:
    """`tests/inputs/R3`: as Prometheus 3 has it."""
    (rule,) = rules_in(INPUTS / "R3-group-labels" / "rules.yml")
    assert rule.known == {"alertname": "DiskFull", "severity": "info"}
    own = tmp_path / "own.yml"
    own.write_text(
        "groups: [{name: a, labels: {severity: info, team: x}, "
        "rules: [{alert: B, expr: up, labels: {severity: page}}]}]"
    )
    assert rules_in(own)[0].labels == {"severity": "page", "team": "x"}


@pytest.mark.parametrize("name", ["list", "vmrule"])
def test_manifests_of_kubernetes_are_read(name: str) -> None:
    """`tests/inputs/R4`: `kubectl get -o yaml` gives a List, VictoriaMetrics a VMRule."""
    (rule,) = rules_in(INPUTS / "R4-list-and-vmrule" / f"{name}.yml")
    assert rule.name == "DiskFull"


def test_an_alert_that_an_entry_names_and_can_never_have_is_said() -> None:
    """`tests/inputs/M5`: the rule's own severity shuts the entry out that names the alert."""
    catalog = load(ROOT / "playbooks", ())
    (rule,) = rules_in(INPUTS / "M5-cpu-info" / "rules.yml")
    assert fits(rule, catalog) == ()
    (miss,) = coverage.misses(rule, catalog)
    assert miss.entry == "kill_runaway_process"
    assert miss.why == (
        "severity!~\"info.*|none\" fails (severity is 'info') in alternative 1 of its `match`"
    )


def test_what_only_the_alert_will_tell_is_no_near_miss(tmp_path: Path, rules: Path) -> None:
    found = answered(project_with(tmp_path), "catalog", "coverage", "--rules", rules)["alerts"]
    near = {(each["alert"], each["labels"].get("severity")): each["near"] for each in found}
    assert [miss["entry"] for miss in near["Down", "info"]] == ["mark"]
    assert near["Down", "page"] == near["Full", None] == near["Strange", None] == []


def test_each_document_of_a_file_counts(tmp_path: Path) -> None:
    """As kustomize writes them: other kinds of manifests have no rules."""
    path = tmp_path / "all.yml"
    other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
    group = "groups: [{name: a, rules: [{alert: %s, expr: up}]}]\n"
    manifest = "apiVersion: v1\nkind: PrometheusRule\nspec: {" + group.strip() % "B" + "}\n"
    path.write_text("---\n".join([group % "A", other, manifest, ""]))
    assert [rule.name for rule in rules_in(path)] == ["A", "B"]
    broken = tmp_path / "broken.yml"
    broken.write_text("---\n".join([group % "A", "a: b\n"]))
    with pytest.raises(UsageError, match=r"broken\.yml"):
        rules_in(broken)


def test_what_names_no_host_is_not_counted(tmp_path: Path) -> None:
    """`tests/inputs/R2`: the expression aggregates `instance` away."""
    file = INPUTS / "R2-instance-aggregated-away" / "rules.yml"
    path = small.make(tmp_path, entry={"match": ['alertname="etcdMembersDown"']})
    said = answered(path, "catalog", "coverage", "--rules", file)
    assert (said["covered"], said["certain"], said["alerts"][0]["entries"]) == (0, 0, [])
    assert said["alerts"][0]["lost"] == [
        {"entry": "mark", "why": "the expression leaves no label instance"}
    ]
    table = call(path, "catalog", "coverage", "--rules", file).stdout
    assert "mark matches, but the expression leaves no label instance" in table


@pytest.mark.parametrize(
    ("expr", "labels", "counts"),
    [
        ("up == 0", "{}", True),
        ("sum by (instance) (up)", "{}", False),
        ("sum by (instance, service) (up)", "{}", True),
        ("sum by (instance) (up)", "{service: shop}", True),
        ("sum by (service) (up)", '{instance: "{{ $labels.host }}"}', True),
        ("sum(up", "{service: shop}", False),
    ],
)
def test_host_and_required_values_must_be_left(
    tmp_path: Path, expr: str, labels: str, counts: bool
) -> None:
    """`mark` needs the label service, for a variable that its role requires."""
    small.make(tmp_path)
    file = tmp_path / "rules.yml"
    file.write_text(
        f"groups: [{{name: a, rules: [{{alert: Down, expr: '{expr}', labels: {labels}}}]}}]"
    )
    found = load(tmp_path / "playbooks", (tmp_path / "roles",))
    assert bool(fits(rules_in(file)[0], found)) is counts


def test_alerts_about_the_runner_itself_are_left_out(tmp_path: Path, rules: Path) -> None:
    own = ROOT / "docs" / "prometheus-rules.yml"
    assert {rule.name for rule in rules_in(own)} == OWN_ALERTS
    words = ("catalog", "coverage", "--rules", rules, "--rules", own)
    said = answered(project_with(tmp_path), *words)
    assert (said["total"], said["own"]) == (4, len(OWN_ALERTS))


def test_an_entry_that_is_only_considered_is_counted_apart(tmp_path: Path) -> None:
    """By `consider`, where an entry has one: rules choose by `match` alone."""
    heal = entry(id="heal", match=[Matcher("alertname", "=", "Up")])
    wide = [[Matcher("alertname", "=", "Nothing")], [Matcher("severity", "=", "page")]]
    object.__setattr__(heal, "__dict__", {**heal.__dict__, "consider": wide})
    catalog = Catalog(playbooks=Path(), roles=(), entries={"heal": heal}, schemas={})
    (proposed,) = fits(AlertRule(name="Down", labels={}, place=""), catalog)
    assert (proposed.considered, proposed.depends) == (True, ("severity",))
    (chosen,) = fits(AlertRule(name="Up", labels={}, place=""), catalog)
    assert (chosen.considered, chosen.depends) == (False, ())


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{alert: Down, expr: sum(up)}", "mark matches, but the expression leaves no label instan"),
        ("{alert: Down, expr: up, labels: {severity: info}}", "mark names this alert, but sever"),
        ("{alert: DiskFull, expr: up}", "clean_disk ships with the runner and matches"),
        ("{alert: NodeDiskSpaceTight, expr: up}", "clean_disk may be about this"),
        ("{alert: MoonPhase, expr: up}", "no entry ships for this"),
    ],
)  # fmt: skip
def test_a_suggestion_names_the_nearest_way_to_an_entry(
    tmp_path: Path, rule: str, said: str
) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(f"groups: [{{name: a, rules: [{rule}]}}]")
    words = ("catalog", "coverage", "--rules", file, "--suggest")
    assert said in answered(project_with(tmp_path), *words)["alerts"][0]["suggestion"]
