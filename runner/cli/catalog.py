"""`runner catalog`: the closed list of what the runner may do."""

from __future__ import annotations

import click

from runner.catalog import Catalog, Entry, scaffold
from runner.catalog import lint as linting
from runner.catalog.matcher import Matcher
from runner.catalog.parameters import ParameterSpec
from runner.cli import Noun, option
from runner.cli.report import counted
from runner.cli.screen import Screen
from runner.cli.session import Session

KINDS = ("remediation", "probe", "drill")


@click.group(cls=Noun)
def catalog() -> None:
    """Look at the entries, check them, make a new one."""


@catalog.command("list")
@option("--kind", type=click.Choice(KINDS), help="Only these.")
@click.pass_obj
def list_(session: Session, kind: str | None) -> None:
    """All entries, by their ids."""
    found = session.project.catalog
    entries = found.by_kind(kind) if kind else tuple(e for _, e in sorted(found.entries.items()))
    if session.json:
        session.answer([_plain(entry, found) for entry in entries])
    else:
        rows = [(e.id, e.kind, e.level, e.risk, e.title, _matching(e)) for e in entries]
        session.screen.table(("id", "kind", "level", "risk", "title", "match"), rows)


def _matching(entry: Entry) -> str:
    return ", ".join(map(str, entry.match))


@catalog.command()
@click.argument("entry_id", metavar="ENTRY")
@click.pass_obj
def show(session: Session, entry_id: str) -> None:
    """One entry, with what `runner run -p` takes."""
    found = session.project.catalog
    entry = found.get(entry_id)
    if session.json:
        session.answer(_plain(entry, found))
    else:
        _show(session.screen, entry, found)


def _show(screen: Screen, entry: Entry, found: Catalog) -> None:
    screen.line(f"{entry.id}: {entry.title}", "bold")
    screen.line(entry.description)
    screen.heading("Entry")
    screen.pairs(_facts(entry))
    if entry.parameters:
        screen.heading("Parameters")
        specs = found.schema(entry.id)
        rows = [_parameter(name, entry, specs[name]) for name in entry.parameters]
        screen.table(("name", "from", "type", "choices", "description"), rows)


def _facts(entry: Entry) -> list[tuple[str, str]]:
    hosts = counted(entry.target.max_hosts, "host")
    return [
        ("kind", entry.kind),
        ("level", f"at most {entry.level}, risk {entry.risk}"),
        ("match", _matching(entry)),
        ("not for", "; ".join(entry.not_for)),
        ("role", entry.role or ""),
        ("steps", "; then ".join(map(str, entry.steps))),
        ("target", f"label {entry.target.label}, at most {hosts}{_elsewhere(entry)}"),
        ("max runs", str(entry.limits.max_runs or "")),
        ("rehearsal", entry.rehearsal),
        ("probe", entry.probe or ""),
        ("undo", entry.undo or ""),
        ("files", str(entry.folder)),
    ]


def _elsewhere(entry: Entry) -> str:
    return "" if entry.target.host == "target" else f"; runs on a {entry.target.host}"


def _parameter(name: str, entry: Entry, spec: ParameterSpec) -> tuple[str, ...]:
    parameter = entry.parameters[name]
    value = "" if parameter.value is None else f" {parameter.value}"
    choices = ", ".join(map(str, spec.choices))
    return name, parameter.from_ + value, spec.type, choices or "-", spec.description


def _plain(entry: Entry, found: Catalog) -> dict[str, object]:
    """The entry as JSON can hold it, with the types of its parameters."""
    specs = found.schema(entry.id)
    plain: dict[str, object] = entry.model_dump(exclude={"match", "limits"}, by_alias=True)
    plain["match"] = [str(matcher) for matcher in entry.match if isinstance(matcher, Matcher)]
    plain["limits"] = entry.limits.model_dump(mode="json")
    plain["schema"] = {name: specs[name] for name in entry.parameters}
    return plain


@catalog.command()
@click.pass_obj
def lint(session: Session) -> int:
    """What is wrong with entries and roles; the exit code is 3 when something is."""
    found = linting.lint(session.project.catalog)
    if session.json:
        session.answer([{"place": each.place, "text": each.text} for each in found])
    for each in [] if session.json else found:
        session.screen.line(str(each))
    if not found:
        session.note("Every entry and role is as it should be.")
    return 3 if found else 0


@catalog.command()
@click.argument("entry_id", metavar="ID")
@click.pass_obj
def new(session: Session, entry_id: str) -> None:
    """Make a playbook, its entry and its role, to be filled in."""
    settings = session.project.config.project
    made = scaffold.new(settings.playbooks, settings.roles[0], entry_id)
    if session.json:
        session.answer(made)
        return
    for path in made:
        session.screen.line(str(path))
    session.note("Edit entry.yml and the role's tasks, then: runner catalog lint")
