"""The documentation says what the code does: tables are compared, snippets are parsed."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from pydantic.fields import FieldInfo

import runner
from runner import catalog, config, policy
from runner.catalog.entry import Entry
from runner.cli import cli
from runner.config import Section, build
from runner.config.problems import section_in
from runner.incident import Level, Outcome, Result, State
from runner.text.duration import write
from tests.acceptance.test_crash import POINTS
from tests.acceptance.test_crash_plan import PLAN_POINTS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
#: Pages that `make docs` writes; tests/unit/test_cli_reference.py compares those.
GENERATED = {"cli.md", "configuration.md"}
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def table(page: str, heading: str) -> list[list[str]]:
    """The rows of all tables between a heading and the next one of its rank, as cells."""
    text = (ROOT / page).read_text(encoding="utf-8")
    start = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert start, f"{page} has no heading {heading}"
    rest = text[start.end() :]
    end = re.search(rf"^#{{1,{len(start[1])}}} ", rest, re.MULTILINE)
    lines = rest[: end.start() if end else None].splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("|")]
    cells = [[cell.strip() for cell in row] for row in rows]
    return [row for row in cells if not set(row[0]) <= {"-", " "} or row[0] == ""]


def first_codes(page: str, heading: str) -> list[str]:
    """The code in the first cell of each row."""
    found = (re.match(r"\[?`([^`]+)`", row[0]) for row in table(page, heading))
    return [match[1] for match in found if match]


def snippets(language: str) -> Iterator[tuple[str, str]]:
    """(page, text) of every fenced block of a language that people write."""
    for page in PAGES:
        if page.name not in GENERATED:
            for kind, text in FENCE.findall(page.read_text(encoding="utf-8")):
                if kind == language:
                    yield name_of(page), text


def of_file(ending: str) -> list[Any]:
    """YAML snippets whose first line is a comment that names a file with this ending."""
    found = [(p, t) for p, t in snippets("yaml") if re.match(rf"# \S*{re.escape(ending)}\n", t)]
    assert found, f"no snippet of {ending}"
    return [pytest.param(text, id=page) for page, text in found]


# Pages


def test_the_index_names_every_page() -> None:
    index = (DOCS / "index.md").read_text()
    linked = set(re.findall(r"\]\(([\w-]+\.(?:md|yml))\)", index))
    assert linked == {p.name for p in DOCS.iterdir() if p.suffix in (".md", ".yml")} - {"index.md"}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made from their words."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for words in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_machine_of_ours(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"/work/|/root/|/tmp/tut|index-url|extra-index", text)


def test_the_picture_is_drawn_for_light_and_dark() -> None:
    picture = (DOCS / "path.svg").read_text()
    assert "prefers-color-scheme: dark" in picture and "<title" in picture
    assert "docs/path.svg" in (ROOT / "README.md").read_text()


# Snippets


def commands() -> list[Any]:
    """Each `runner …` of a console block, cut out of pipes and redirections."""
    found: dict[str, str] = {}
    for page, text in snippets("console"):
        for line in re.findall(r"^\$ (.+)$", text, re.MULTILINE):
            for part in re.split(r"\s(?:\||&&|<|>)\s", line):
                if part.split()[0] == "runner":
                    found.setdefault(part, page)
    return [pytest.param(line, id=f"{page}: {line}") for line, page in found.items()]


@pytest.mark.parametrize("line", commands())
def test_a_shown_command_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click.File, "convert", lambda self, value, param, ctx: value)
    words = shlex.split(line)[1:]
    context: click.Context = cli.make_context("runner", words)
    while isinstance(context.command, click.Group):
        left = [*context._protected_args, *context.args]
        command = context.command.get_command(context, left[0])
        assert command is not None, f"there is no {left[0]}"
        context = command.make_context(left[0], left[1:], parent=context)


def mentioned() -> list[Any]:
    """Each `runner NOUN VERB` in running text."""
    found: dict[str, str] = {}
    for page in PAGES:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for words in re.findall(r"`runner ([a-z][^`]*)`", text):
            found.setdefault(" ".join(words.split()), name_of(page))
    return [pytest.param(words, id=f"{page}: {words}") for words, page in found.items()]


@pytest.mark.parametrize("words", mentioned())
def test_a_mentioned_command_exists(words: str) -> None:
    context = click.Context(cli)
    command: click.Command = cli
    for word in words.split():
        if not isinstance(command, click.Group) or not re.fullmatch("[a-z]+", word):
            break
        below = command.get_command(context, word)
        assert below is not None, f"there is no command {words}"
        command = below
    for option in re.findall(r"(?<!\S)--?[a-z][\w-]*", words):
        known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
        assert option in known, f"{words}: there is no {option}"


@pytest.mark.parametrize("text", of_file("runner.yml"))
def test_a_runner_yml_loads(text: str, tmp_path: Path) -> None:
    path = tmp_path / "runner.yml"
    path.write_text(text)
    assert config.load(path) == build(yaml.safe_load(text), root=tmp_path)


@pytest.mark.parametrize("text", of_file("entry.yml"))
def test_an_entry_yml_loads(text: str) -> None:
    assert Entry.model_validate(yaml.safe_load(text) | {"id": "x", "folder": Path("x")}).match


def test_a_part_of_an_entry_holds_known_keys() -> None:
    for _, text in snippets("yaml"):
        if text.startswith("# a part of an entry.yml"):
            assert yaml.safe_load(text).keys() <= Entry.model_fields.keys()


def test_every_other_snippet_is_what_it_says() -> None:
    for page, text in snippets("yaml"):
        assert yaml.safe_load(text), page
    for page, text in snippets("json"):
        assert json.loads(text), page


@pytest.mark.real
@pytest.mark.skipif(
    shutil.which("amtool") is None and not os.environ.get("CI"), reason="amtool is not installed"
)
@pytest.mark.parametrize("text", of_file("alertmanager.yml"))
def test_an_alertmanager_yml_passes_amtool(text: str, tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(text)
    done = subprocess.run(["amtool", "check-config", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    routed = ["amtool", "config", "routes", "test", f"--config.file={path}"]
    for name, receivers in (("ServiceDown", "runner,people"), ("RunnerDown", "people")):
        done = subprocess.run([*routed, f"alertname={name}"], capture_output=True, text=True)
        assert done.stdout.strip() == receivers


@pytest.mark.parametrize("text", of_file("alertmanager.yml"))
def test_our_own_advice_has_nothing_to_say_of_it(text: str) -> None:
    from runner.intake.advice import advise

    assert advise(text, "runner") == ()


# Tables


def test_the_readme_names_every_shipped_entry() -> None:
    shipped = catalog.load(ROOT / "playbooks", ()).entries.values()
    rows = table("README.md", "Shipped entries")[1:]
    said = {(re.findall("`(.+?)`", row[0])[0], row[1], row[2]) for row in rows}
    assert said == {(entry.id, entry.kind, str(entry.level)) for entry in shipped}


def keys_of(model: type[Section], place: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, default as it is written) of a model and of all below it."""
    for name, field in model.model_fields.items():
        key = f"{place}{field.alias or name}"
        below = section_in(field.annotation)
        if key in ("id", "folder", "found", "dry_run.required"):  # never written in a file
            continue
        yield key, default_of(field)
        if below is not None:
            kind = str(getattr(field.annotation, "__origin__", None))
            deeper = {str(tuple): "[].", str(dict): ".NAME."}.get(kind, ".")
            yield from keys_of(below, key + deeper)


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Section):
        return "see below"
    if isinstance(value, tuple) and value:
        return "`alert: cleared`"
    if isinstance(value, timedelta):
        return f"`{write(value)}`"
    empty = {None: "`null`", (): "`[]`"}
    return "`{}`" if value == {} else empty.get(value, f"`{value}`")


def test_the_entry_reference_has_every_key_with_its_default() -> None:
    rows = table("docs/entry-reference.md", "Keys")[1:]
    assert {row[0].strip("`"): row[2] for row in rows} == dict(keys_of(Entry))


def rule_names() -> set[str]:
    """Every short name that policy gives a reason."""
    found = {"earned", "demoted"}  # come with the case
    for path in (ROOT / "runner" / "policy").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "rule":
                if isinstance(node.value, ast.Constant):
                    found.add(str(node.value.value))
    return found


def test_the_policy_page_has_every_rule() -> None:
    rows = table("docs/levels-and-policy.md", "Rules")[1:]
    assert {row[0].strip("`") for row in rows} == rule_names()
    functions = {
        f"{rule.__module__.rpartition('.')[2]}.{rule.__name__}"
        for rule in (row.rule for row in policy.TABLE)
    }
    assert {row[1].strip("`") for row in rows} == functions | {
        "fidelity.judge_dry_run",
        "cover.judge_cover",
    }


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("The level", list(Level)),
        ("Outcomes of a run", list(Outcome)),
        ("Results of a verification", list(Result)),
        ("States of an incident", list(State)),
    ],
)
def test_the_policy_page_has_every_word(heading: str, words: list[str]) -> None:
    said = first_codes("docs/levels-and-policy.md", heading)
    assert [word for word in said if word in words] == [str(word) for word in words]


def test_the_architecture_names_every_module() -> None:
    package = Path(runner.__file__).parent
    here = {p.stem for p in package.glob("*.py")} | {p.parent.name for p in package.glob("*/*.py")}
    here -= {"__init__"}
    assert first_codes("docs/architecture.md", "Modules") == sorted(here)


def test_the_architecture_says_what_each_crash_does() -> None:
    said = set(first_codes("docs/architecture.md", "What a crash does"))
    assert said == {*POINTS, *PLAN_POINTS}


def test_the_architecture_names_the_steps_in_order() -> None:
    source = (ROOT / "runner" / "remediate.py").read_text()
    order = re.search(r"for name in \(([^)]*)\):", source)
    assert order
    steps = [*order[1].replace('"', "").split(", "), "carry_out", "confirm", "approach", "undo"]
    assert all(f'_step("{step}", incident' in source for step in steps[-4:])
    assert first_codes("docs/architecture.md", "The path") == steps


def test_contributing_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)
    said = first_codes("CONTRIBUTING.md", "Set-up")
    assert {word.removeprefix("make ") for word in said} == set(targets) - {"help"}


# Invariants


def held() -> dict[Path, set[int]]:
    """Test file → invariants that its docstrings name."""
    found: dict[Path, set[int]] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        for numbers in re.findall(r"Invariants? (\d+(?:(?:, | and )\d+)*)", text):
            found.setdefault(path.resolve(), set()).update(map(int, re.findall(r"\d+", numbers)))
    return found


def test_every_invariant_is_held_by_a_test() -> None:
    assert set().union(*held().values()) >= set(range(1, 16))


def test_the_security_page_names_tests_that_hold_each_invariant() -> None:
    rows = table("docs/security.md", "Invariants")[1:]
    assert [int(row[0]) for row in rows] == list(range(1, 23))
    for row in rows:
        files = [(DOCS / target).resolve() for target in re.findall(r"\]\((.+?)\)", row[2])]
        assert files
        for file in files:
            assert int(row[0]) in held().get(file, set()), f"{file.name} holds no {row[0]}"


# Changelog


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def test_the_version_is_the_newest_of_the_changelog() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings[0] == "main / (unreleased)"
    released = [numbers(heading.split(" / ")[0]) for heading in headings[1:]]
    version = numbers(str(runner.__version__))
    assert released == sorted(released, reverse=True)
    assert not released or version >= released[0]
    unreleased = re.split(r"^## ", text, flags=re.MULTILINE)[1]
    assert version in released or runner.__version__ in unreleased


def test_changelog_lines_have_kind_and_area() -> None:
    lines = re.findall(r"^- .+$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    form = re.compile(
        r"- \[(SECURITY|CHANGE|FEATURE|ENHANCEMENT|BUGFIX)\] [a-z]+: [A-Z`].+\.( #\d+)?"
    )
    assert lines and all(form.fullmatch(line) for line in lines)
