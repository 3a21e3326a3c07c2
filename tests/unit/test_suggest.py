"""`runner catalog suggest`: a diff that is right, and only for what people approved."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.acts.suggest import suggestions
from runner.catalog.entry import Entry
from runner.catalog.suggest import alternative, diff, extended
from runner.incident import State
from runner.project import Project
from runner.store import incidents
from runner.text.matcher import Matchers, parse_alternatives
from tests import small_project as small
from tests.command_line import answered, call

MORE = parse_alternatives(['alertname="New"', 'service!=""'])[0]


def entry_in(folder: Path, match: str) -> Entry:
    folder.mkdir(parents=True, exist_ok=True)
    text = f"# A comment.\ntitle: T\ndescription: D\n{match}# Of the role.\nrole: r\n"
    (folder / "entry.yml").write_text(text)
    return Entry.model_validate(yaml.safe_load(text) | {"id": folder.name, "folder": folder})


def applied(entry: Entry, more: Matchers) -> str:
    """The file after the diff, as git applies it."""
    folder = entry.folder.parent
    patch = folder / "suggested.patch"
    patch.write_text(diff(entry, more) + "\n")
    subprocess.run(
        ["git", "apply", "--unsafe-paths", "--directory", str(folder), str(patch)],
        cwd="/", check=True, capture_output=True,
    )  # fmt: skip
    return (entry.folder / "entry.yml").read_text()


@pytest.mark.parametrize(
    "match",
    [
        'match:\n  - a="1"\n  # Why b.\n  - b="2"\n',
        'match:\n- a="1"\n- b="2"\n\n',
        'match:\n  - - a="1"\n    - b="2"\n',
        "match:\n  - [a=1, b=2]\n  - [c=3]\n",
        "match: ['a=\"1\"', 'b=\"2\"']\n",
        "match: a=1\n",
        "match: []\n",
        "",
    ],
)
def test_the_diff_adds_the_alternative_and_nothing_else(tmp_path: Path, match: str) -> None:
    entry = entry_in(tmp_path / "heal", match)
    text = applied(entry, MORE)
    content = yaml.safe_load(text)
    assert parse_alternatives(content.pop("match")) == (*entry.match, MORE)
    assert content == {"title": "T", "description": "D", "role": "r"}
    assert "# A comment." in text and "# Of the role." in text
    assert ("# Why b." in match) == ("# Why b." in text)


@given(st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable() or "\n" in text))
def test_no_name_of_an_alert_can_write_anything_else_into_the_file(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    """The name comes from outside: it stays one matcher's value."""
    from runner.catalog.suggest import _edited

    entry = entry_in(tmp_path_factory.mktemp("one") / "heal", "match:\n  - a=1\n")
    try:
        name.encode()
    except UnicodeEncodeError:
        return
    more = alternative(entry, [{"alertname": name}])
    made = _edited((entry.folder / "entry.yml").read_text(), (*entry.match, more), more)
    content = yaml.safe_load(made)
    assert parse_alternatives(content.pop("match")) == (*entry.match, more)
    assert content == {"title": "T", "description": "D", "role": "r"}
    assert more[0].value == name


def test_the_alternative_covers_all_alerts_and_keeps_what_the_match_asked_for() -> None:
    heal = Entry.model_validate(
        {
            "id": "heal", "folder": Path(), "title": "T", "description": "D", "role": "r",
            "match": ['alertname="Down"', 'service!=""', 'pod=""', 'severity!="info"'],
            "parameters": {"r_unit": {"from": "label service"}, "r_log": {"from": "label log"}},
        }
    )  # fmt: skip
    alerts = [
        {"alertname": "Slow", "service": "a", "log": "x", "severity": "page"},
        {"alertname": "Slow", "service": "b"},
    ]
    found = alternative(heal, alerts)
    assert [str(each) for each in found] == [
        'alertname="Slow"', 'service!=""', 'pod=""', 'severity!="info"',
    ]  # fmt: skip
    assert all(extended(heal, found).eligible(labels) for labels in alerts)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Project]:
    path = small.make(tmp_path, entry={"consider": ['alertname=~"Slow.*"']})
    made = small.project(path)
    yield made
    made.close()


def fixed(project: Project, state: State = State.FIXED, **labels: str) -> int:
    number = small.open_one(project, labels)
    with project.database.write() as tx:
        incidents.move(tx, number, state, "done", entry="mark", hosts=["web1"])
    return number


def test_it_suggests_what_fixed_an_alert_that_it_does_not_match(
    opened: Project, tmp_path: Path
) -> None:
    fixed(opened)
    fixed(opened, alertname="Other", state=State.ESCALATED)
    assert suggestions(opened) == ()
    path = tmp_path / "runner.yml"
    assert "Nothing to suggest" in call(path, "catalog", "suggest").stderr
    numbers = [fixed(opened, alertname="Slow") for _ in range(2)]
    (found,) = suggestions(opened)
    assert (found.entry.id, found.alertname, set(found.incidents)) == ("mark", "Slow", set(numbers))

    before = (tmp_path / "playbooks/mark/entry.yml").read_text()
    cases = tmp_path / "playbooks/mark/cases"
    cases.mkdir()
    case: dict[str, Any] = {
        "title": "It is slow.",
        "alert": {"labels": {"alertname": "Slow", "instance": "web1", "service": "shop"}},
        "inventory": {"web1": {}},
        "expect": {"entry": "none_of_these"},
    }
    (cases / "slow.yml").write_text(yaml.safe_dump(case))
    shown = call(path, "catalog", "suggest")
    assert shown.exit_code == 0, shown.output
    assert "mark fixed Slow 2 times after an approval: #" in shown.stdout
    assert "+++ b/mark/entry.yml" in shown.stdout
    assert (
        "mark/slow: rules would choose mark instead of none_of_these (not expected)" in shown.stdout
    )
    said = answered(path, "catalog", "suggest")
    assert said[0]["match"] == ['alertname="Slow"', 'service!=""']
    assert (tmp_path / "playbooks/mark/entry.yml").read_text() == before
