"""`runner catalog`: the closed list of what the runner may do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner import acts, shipped
from runner.cases import file as cases
from runner.catalog import Catalog, Entry, scaffold
from runner.catalog import lint as linting
from runner.catalog.lint import Severity
from runner.cli import Noun, option
from runner.cli.follow import follow
from runner.cli.report import counted
from runner.cli.run import values_of
from runner.cli.session import Session, can_ask, confirm, person, refuse_unasked, yes_option
from runner.cli.stand_in import StandIn
from runner.cli.suggest import suggest
from runner.incident import Level
from runner.text import duration
from runner.text.matcher import in_words, written

if TYPE_CHECKING:
    from runner.acts.coverage import Coverage

KINDS = ("remediation", "probe", "drill")
DRY_RUN_NOW = "Dry-run it now? Check mode connects to the host."


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


def _part(entry: Entry) -> str:
    """The part of its host that it acts on, in words."""
    if entry.target.part is None:
        return ""
    others = "runs on other parts go on" if entry.target.exclusive == "part" else "whole host kept"
    return f"{entry.target.part_kind} in {entry.target.part_parameter}; {others}"


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
            ("playbook", str(entry.found or "")),
            ("tags", ", ".join([*entry.tags, *(f"not {tag}" for tag in entry.skip_tags)])),
            ("steps", "; then ".join(map(str, entry.steps))),
            ("target", f"label {entry.target.label}, at most {hosts}{elsewhere}"),
            ("part", _part(entry)),
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
@option("--strict", is_flag=True, help="Also check the style of entries and roles.")
@click.pass_obj
def lint(session: Session, strict: bool) -> int:
    """Validate entries, roles and cases; the exit code is 3 if one cannot be used.

    A problem is `refused` (nothing is started while it stands), `lowers` (policy allows less than
    the entry's level) or, with --strict, `style`. With --strict each of them gives exit code 3,
    except a lower level than auto would be, which is a note.
    """
    project = session.project
    found = linting.lint(project.catalog)
    found += cases.lint(project.config, project.catalog.entries)
    style = [each for each in found if each.severity is Severity.STYLE]
    shown = found if strict else [each for each in found if each not in style]
    if session.json:
        session.answer([vars(each) for each in shown])
    for each in [] if session.json else sorted(shown, key=lambda each: _WORST.index(each.severity)):
        session.screen.line(f"{'note' if each.note else each.severity}: {each}")
    refused = [each for each in shown if each.severity is Severity.REFUSED]
    wrong = [each for each in shown if strict and not each.note] or refused
    if not wrong:
        session.note("All entries, roles and cases are valid.")
    if not strict and style:
        session.note(f"{counted(len(style), 'remark')} on style: runner catalog lint --strict")
    return 3 if wrong else 0


_WORST = list(Severity)


@catalog.command()
@option("--rules", "files", multiple=True, envvar="RUNNER_CATALOG_COVERAGE_RULES", metavar="FILE",
        type=click.Path(path_type=Path),
        help="Rule file, repeatable; by default the rules loaded in Prometheus.")  # fmt: skip
@option("--fail-under", type=click.FloatRange(0, 100), metavar="PERCENT",
        help="Exit with 1 if fewer alerts have an entry by its `match`.")  # fmt: skip
@option("--suggest", is_flag=True, envvar="RUNNER_CATALOG_COVERAGE_SUGGEST",
        help="Suggest for each alert without an entry which one could be adopted.")  # fmt: skip
@click.pass_obj
def coverage(
    session: Session, files: tuple[Path, ...], fail_under: float | None, suggest: bool
) -> int:
    """List alerts with an entry and its level now, and alerts without one.

    If an entry depends on a label that the rule does not set, the alert must have the right value.
    An alert whose expression leaves no label for the host or a required value is not counted.
    Alerts about the runner itself are left out.
    """
    from runner.acts import coverage as covering

    with session.busy("reading the rules"):
        rules = covering.rules_of(session.project, files)
        found = covering.coverage(session.project, rules, suggestions=suggest)
    if session.json:
        alerts = [
            {
                "alert": each.rule.name,
                "labels": each.rule.labels,
                "place": each.rule.place,
                "entries": [
                    {
                        "entry": f.entry,
                        "depends": f.depends,
                        "considered": f.considered,
                        "standing": found.standings[f.entry],
                    }
                    for f in each.fits
                ],
                "near": [{"entry": miss.entry, "why": miss.why} for miss in each.near],
                "lost": [{"entry": gone.entry, "why": gone.why} for gone in each.lost],
                "suggestion": each.suggestion,
            }
            for each in found.rules
        ]
        counts = {"total": len(found.rules), "covered": found.covered, "certain": found.certain}
        counts |= {"considered": found.considered, "own": found.own}
        session.answer({"alerts": alerts, **counts, "share": found.share})
    else:
        columns = ("alert", "entry", "level now", "depends on", "held by")
        session.screen.table(columns, _coverage_rows(found))
        total, maybe = len(found.rules), found.covered - found.certain
        text = f"{found.covered} of {counted(total, 'alert')} have an entry"
        if maybe:
            text += f", {maybe} of these only by labels that the rule does not set"
        if found.considered:
            text += f"; for {found.considered} one may be proposed"
        session.note(f"{text}; {total - found.covered - found.considered} have none.")
        if found.own:
            session.note(f"{counted(found.own, 'alert')} about the runner itself left out.")
    return 1 if fail_under is not None and found.share * 100 < fail_under else 0


def _coverage_rows(found: Coverage) -> Iterator[tuple[str, ...]]:
    for each in found.rules:
        labels = [f"{name}={value}" for name, value in sorted(each.rule.labels.items())]
        name = " ".join([each.rule.name, *labels])
        if not each.fits:
            near = [f"{gone.entry} matches, but {gone.why}" for gone in each.lost]
            near += [
                f"{miss.entry} fails {' and '.join(map(str, miss.failed))}" for miss in each.near
            ]
            why = each.suggestion or "; ".join(near) or "no entry matches"
            yield name, "none", "", "", f"{why} ({each.rule.place})"
        for fit in each.fits:
            standing = found.standings[fit.entry]
            proposed = Level.lowest(standing.level, Level.APPROVE)
            level = str(proposed if fit.considered else standing.level)
            rules = dict.fromkeys(reason.rule for reason in standing.held_by)
            hosts = [f"{level} on {counted(n, 'host')}" for level, n in standing.hosts.items()]
            yield (
                name,
                f"{fit.entry} (proposed)" if fit.considered else fit.entry,
                level,
                ", ".join(fit.depends),
                "; ".join(filter(None, [", ".join(rules), ", ".join(hosts)])),
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
@click.argument("playbook", required=False)
@option("--all", "folder", envvar="RUNNER_CATALOG_ADOPT_ALL",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        metavar="DIR", help="List every playbook below DIR instead; writes nothing.")  # fmt: skip
@option(
    "--id",
    "entry_id",
    default="",
    envvar="RUNNER_CATALOG_ADOPT_ID",
    help="Id of the entry; by default the playbook's name.",
)
@option("--host", multiple=True, help="Exact inventory name to try it on, repeatable.")
@option("--parameter", "-p", multiple=True, metavar="NAME=VALUE",
        help="Value of a parameter for the dry run.")  # fmt: skip
@option(
    "--tag",
    "tags",
    multiple=True,
    envvar="RUNNER_CATALOG_ADOPT_TAG",
    help="Only tasks with this tag, repeatable.",
)
@option(
    "--skip-tag",
    "skip_tags",
    multiple=True,
    envvar="RUNNER_CATALOG_ADOPT_SKIP_TAG",
    help="No task with this tag, repeatable.",
)
@option("--alert", default="",
        help="Name of the alert that is to start it; a comment of the entry, until you make "
        "it `match`.")  # fmt: skip
@option("--check", "promql", default="", envvar="RUNNER_CATALOG_ADOPT_CHECK",
        metavar="PROMQL",
        help="Query that gives a sample once it worked.")  # fmt: skip
@yes_option
@click.pass_obj
def adopt(
    session: Session,
    playbook: str | None,
    folder: Path | None,
    entry_id: str,
    host: tuple[str, ...],
    parameter: tuple[str, ...],
    tags: tuple[str, ...],
    skip_tags: tuple[str, ...],
    alert: str,
    promql: str,
    yes: bool,
) -> int:
    """Write the entry of an existing playbook, and dry-run it once.

    PLAYBOOK is a path, or namespace.collection.playbook. The playbook is not changed. The entry
    gets level dry-run and no `match`, so no alert starts it. The exit code is 6 if the playbook
    can never be run, and 1 if its dry run failed.
    """
    from runner.acts import adopt as adopting

    if (playbook is None) is (folder is None):
        raise click.UsageError("name one playbook, or a folder with --all")
    if folder is not None:
        return _adoptable(session, folder)
    if can_ask(session) and not yes:
        alert = alert or click.prompt(
            "Alert that is to start it later, empty for none", "", err=True
        )
        promql = promql or click.prompt(
            "PromQL that gives a sample once it worked, empty for none", "", err=True
        )
    known = adopting.Known(
        hosts=tuple(sorted(set(host))), tags=tags, skip_tags=skip_tags, alert=alert, check=promql
    )
    if host:
        acts.check_hosts(session.project.inventory(), host)
    made = adopting.draft(session.project, playbook or "", known, entry_id)
    # Whatever would keep it from its dry run is said before anything is written.
    if host and not made.refused:
        refuse_unasked(session, DRY_RUN_NOW, yes=yes)
        adopting.refuse_values(made, values_of(parameter))
    written = adopting.write(session.project, made)
    for path in [] if session.json else written:
        session.screen.line(str(path))
    code, tried = 0, None
    if host:
        code, tried = _try(session, made.entry.id, known.hosts, parameter, yes=yes)
    else:
        session.note("There was no dry run, because --host was not given.")
    _standing(session, made.entry.id, written, alert, tried, passed=bool(host) and code == 0)
    return code


def _adoptable(session: Session, folder: Path) -> int:
    from runner.acts import adopt as adopting

    found = list(adopting.find(session.project, folder.resolve()))
    if session.json:
        session.answer([{"playbook": name, "id": id, "refused": why} for name, id, why in found])
        return 0
    rows = [(name, id, why or "can be adopted") for name, id, why in found]
    session.screen.table(("playbook", "id", "as it is"), rows)
    able = sum(not why for _, _, why in found)
    session.note(f"{able} of {counted(len(found), 'playbook')} can be adopted as they are.")
    return 0


def _try(
    session: Session, id: str, hosts: tuple[str, ...], given: tuple[str, ...], *, yes: bool
) -> tuple[int, int]:
    """Show the command of the dry run, ask, and run it; its exit code and its incident."""
    from runner.acts import adopt as adopting

    session.note(f"Its dry run: {adopting.dry_run_command(id, hosts, given)}")
    confirm(session, DRY_RUN_NOW, yes=yes)
    number = acts.request_run(
        session.project, entry=id, hosts=hosts, values=values_of(given), by=person(None),
        ceiling=Level.DRY_RUN,
    )  # fmt: skip
    with StandIn(session) as standing_in:
        return follow(session, [number], standing_in), number


def _standing(
    session: Session,
    id: str,
    written: tuple[Path, ...],
    alert: str,
    tried: int | None,
    *,
    passed: bool,
) -> None:
    """One screen: what the entry may do today, and why, and what would raise it.

    `tried` is the incident of its dry run, None without one.
    """
    from runner.acts import adopt as adopting

    verdict, held = adopting.standing_now(session.project, id, tried)
    reasons = [reason.text for reason in verdict.limiting]
    steps = [] if passed else [f"a dry run that passes: runner run {id} --host HOST --check"]
    named = "" if alert else "put the alert's name there, and "
    steps += [
        f"match, so that alerts start it: {named}remove `# ` from the last line of {written[0]}",
        "level approve, and later auto, in the same file",
    ]
    if (most := session.project.config.level) is not Level.AUTO:
        steps.append(f"level in runner.yml, which limits every entry to {most}")
    if session.json:
        session.answer(
            {"entry": id, "files": written, "level": verdict.level, "reasons": reasons,
             "holds_back": held, "raise_by": steps}
        )  # fmt: skip
        return
    session.screen.heading(f"{id} may go to {verdict.level} today")
    for text in reasons:
        session.screen.line(f"- {text}")
    session.screen.heading("What would raise it")
    for text in steps:
        session.screen.line(f"- {text}")
    if held:
        session.screen.heading("What keeps it from auto")
        for text in held:
            session.screen.line(f"- {text}")


@catalog.command()
@click.pass_obj
def path(session: Session) -> None:
    """Print the folder of the shipped collection, for ANSIBLE_COLLECTIONS_PATH."""
    if session.json:
        session.answer({"collections": shipped.collections(), "collection": shipped.COLLECTION})
    else:
        session.screen.line(str(shipped.collections()))
