"""`runner catalog`: the closed list of what the runner may do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner import shipped
from runner.cases import file as cases
from runner.catalog import Catalog, Entry, scaffold
from runner.catalog import lint as linting
from runner.catalog.matcher import in_words, written
from runner.cli import Noun, option
from runner.cli.report import counted
from runner.cli.session import Session
from runner.cli.suggest import suggest
from runner.incident import Level
from runner.text import duration

if TYPE_CHECKING:
    from runner.acts.coverage import Coverage

KINDS = ("remediation", "probe", "drill")


@click.group(cls=Noun)
def catalog() -> None:
    """List, validate and create entries."""


@catalog.command("list")
@option("--kind", type=click.Choice(KINDS), help="Only these.")
@click.pass_obj
def list_(session: Session, kind: str | None) -> None:
    """List all entries by id."""
    found = session.project.catalog
    entries = found.by_kind(kind) if kind else tuple(e for _, e in sorted(found.entries.items()))
    if session.json:
        session.answer([_plain(entry, found) for entry in entries])
    else:
        rows = [(e.id, e.kind, e.level, e.risk, e.title, in_words(e.match)) for e in entries]
        session.screen.table(("id", "kind", "level", "risk", "title", "match"), rows)


@catalog.command()
@click.argument("entry_id", metavar="ENTRY")
@click.pass_obj
def show(session: Session, entry_id: str) -> None:
    """Show an entry, with the parameters of `runner run -p`."""
    found, config = session.project.catalog, session.project.config
    entry = found.get(entry_id)
    if session.json:
        session.answer(_plain(entry, found))
        return
    hosts = counted(entry.target.max_hosts, "host")
    elsewhere = "" if entry.target.host == "target" else f"; runs on a {entry.target.host}"
    session.screen.line(f"{entry.id}: {entry.title}", "bold")
    session.screen.line(entry.description)
    session.screen.heading("Entry")
    session.screen.pairs(
        [
            ("kind", entry.kind),
            ("level", f"at most {entry.level}, risk {entry.risk}"),
            ("match", in_words(entry.match)),
            ("consider", in_words(entry.consider)),
            ("not for", "; ".join(entry.not_for)),
            ("role", entry.role or ""),
            ("steps", "; then ".join(map(str, entry.steps))),
            ("target", f"label {entry.target.label}, at most {hosts}{elsewhere}"),
            ("max runs", str(entry.limits.max_runs or "")),
            ("cooldown", _span(entry.limits.cooldown, config.policy.cooldown)),
            ("timeout", _span(entry.limits.timeout, config.execution.timeout)),
            ("dry run", entry.dry_run.word),
            ("probe", entry.probe or ""),
            ("undo", entry.undo or ""),
            ("files", str(entry.folder)),
        ]
    )
    if not entry.parameters:
        return
    session.screen.heading("Parameters")
    specs, rows = found.schema(entry.id), []
    for name, parameter in entry.parameters.items():
        value = "" if parameter.value is None else f" {parameter.value}"
        spec, choices = specs[name], ", ".join(map(str, specs[name].choices)) or "-"
        rows.append((name, parameter.from_ + value, spec.type, choices, spec.description))
    session.screen.table(("name", "from", "type", "choices", "description"), rows)


def _span(own: timedelta | None, default: timedelta) -> str:
    """What counts for the entry, and whether runner.yml says it for all."""
    return f"{duration.write(default)} (from runner.yml)" if own is None else duration.write(own)


def _plain(entry: Entry, found: Catalog) -> dict[str, object]:
    """The entry as JSON can hold it, with the types of its parameters."""
    specs = found.schema(entry.id)
    plain: dict[str, object] = entry.model_dump(
        exclude={"match", "consider", "limits"}, by_alias=True
    )
    plain["match"], plain["consider"] = written(entry.match), written(entry.consider)
    plain["limits"] = entry.limits.model_dump(mode="json")
    plain["schema"] = {name: specs[name] for name in entry.parameters}
    return plain


@catalog.command()
@click.pass_obj
def lint(session: Session) -> int:
    """Validate entries, roles and cases; the exit code is 3 if one is invalid.

    A play whose blast radius cannot be determined is a warning, not an error.
    """
    project = session.project
    found = linting.lint(project.catalog)
    found += cases.lint(project.config, project.catalog.entries)
    if session.json:
        session.answer([vars(each) for each in found])
    for each in [] if session.json else found:
        session.screen.line(f"note: {each}" if each.note else str(each))
    wrong = [each for each in found if not each.note]
    if not wrong:
        session.note("All entries, roles and cases are valid.")
    return 3 if wrong else 0


@catalog.command()
@option("--rules", "files", multiple=True, envvar="RUNNER_CATALOG_COVERAGE_RULES", metavar="FILE",
        type=click.Path(path_type=Path),
        help="Rule file, repeatable; by default the rules loaded in Prometheus.")  # fmt: skip
@option("--fail-under", type=click.FloatRange(0, 100), metavar="PERCENT",
        help="Exit with 1 if fewer alerts have an entry.")  # fmt: skip
@click.pass_obj
def coverage(session: Session, files: tuple[Path, ...], fail_under: float | None) -> int:
    """List alerts with an entry and its level now, and alerts without one.

    If an entry depends on a label that the rule does not set, the alert must have the right value.
    """
    from runner.acts import coverage as covering

    with session.busy("reading the rules"):
        rules = covering.rules_of(session.project, files)
        found = covering.coverage(session.project, rules)
    if session.json:
        alerts = [
            {
                "alert": each.rule.name,
                "labels": each.rule.labels,
                "place": each.rule.place,
                "entries": [
                    {"entry": f.entry, "depends": f.depends, "standing": found.standings[f.entry]}
                    for f in each.fits
                ],
                "considered": [
                    {"entry": f.entry, "depends": f.depends, "standing": found.standings[f.entry]}
                    for f in each.considered
                ],
                "near": [{"entry": miss.entry, "why": miss.why} for miss in each.near],
            }
            for each in found.rules
        ]
        counts = {
            "total": len(found.rules),
            "covered": found.covered,
            "certain": found.certain,
            "only_considered": found.only_considered,
        }
        session.answer({"alerts": alerts, **counts, "share": found.share})
    else:
        columns = ("alert", "entry", "level now", "depends on", "held by")
        session.screen.table(columns, _coverage_rows(found))
        total, maybe = len(found.rules), found.covered - found.certain
        text = f"{found.covered} of {counted(total, 'alert')} have an entry"
        more = f", {maybe} of these only by labels that the rule does not set" if maybe else ""
        if found.only_considered:
            more += f"; for {found.only_considered} more an entry may be proposed"
        none = total - found.covered - found.only_considered
        session.note(f"{text}{more}; {none} have none.")
    return 1 if fail_under is not None and found.share * 100 < fail_under else 0


def _coverage_rows(found: Coverage) -> Iterator[tuple[str, ...]]:
    for each in found.rules:
        labels = [f"{name}={value}" for name, value in sorted(each.rule.labels.items())]
        name = " ".join([each.rule.name, *labels])
        if not each.fits and not each.considered:
            near = [
                f"{miss.entry} fails {' and '.join(map(str, miss.failed))}" for miss in each.near
            ]
            why = "; ".join(near) or "no entry matches"
            yield name, "none", "", "", f"{why} ({each.rule.place})"
        for fit in each.fits + each.considered:
            standing = found.standings[fit.entry]
            proposed = fit in each.considered
            level = str(Level.lowest(standing.level, Level.APPROVE) if proposed else standing.level)
            rules = dict.fromkeys(reason.rule for reason in standing.held_by)
            hosts = [f"{level} on {counted(n, 'host')}" for level, n in standing.hosts.items()]
            yield (
                name,
                fit.entry,
                level,
                ", ".join(fit.depends),
                "; ".join(
                    filter(
                        None, ["consider" if proposed else "", ", ".join(rules), ", ".join(hosts)]
                    )
                ),
            )


catalog.add_command(suggest)


@catalog.command()
@click.argument("entry_id", metavar="ID")
@click.pass_obj
def new(session: Session, entry_id: str) -> None:
    """Create a playbook with its entry and role, to be filled in.

    For the ID of a shipped entry it is a copy of that entry, without a role: the copy is used
    instead from then on, and updates of the runner do not change it.
    """
    settings = session.project.config.project
    if entry_id in shipped.entry_ids():
        made = scaffold.copy_of_shipped(settings.playbooks, entry_id)
        note = "This copy is used from now on: edit its entry.yml, then: runner catalog lint"
    else:
        made = scaffold.new(settings.playbooks, settings.roles[0], entry_id)
        note = "Edit entry.yml, the role's tasks and the case, then: runner catalog lint"
    if session.json:
        session.answer(made)
        return
    for path in made:
        session.screen.line(str(path))
    session.note(note)


@catalog.command()
@click.pass_obj
def path(session: Session) -> None:
    """Print the folder of the shipped collection, for ANSIBLE_COLLECTIONS_PATH."""
    if session.json:
        session.answer({"collections": shipped.collections(), "collection": shipped.COLLECTION})
    else:
        session.screen.line(str(shipped.collections()))
