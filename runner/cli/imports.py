"""`runner import`: rules of other tools as entries of the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from runner.cli import Noun, option
from runner.cli.report import counted
from runner.cli.session import Session
from runner.text.matcher import in_words, written

if TYPE_CHECKING:
    from runner.acts.import_rulebook import Result


@click.group("import", cls=Noun)
def import_() -> None:
    """Turn rules of other tools into entries."""


@import_.command()
@click.argument("file", type=click.Path(path_type=Path))
@option("--into", envvar="RUNNER_IMPORT_RULEBOOK_INTO",
        type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
        help="Folder for the entries; by default `project.playbooks`.")  # fmt: skip
@option("--playbooks", envvar="RUNNER_IMPORT_RULEBOOK_PLAYBOOKS", default=".", show_default=True,
        type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR",
        help="Folder from which the rulebook names its playbooks.")  # fmt: skip
@option("--vars", "variables", envvar="RUNNER_IMPORT_RULEBOOK_VARS",
        type=click.Path(path_type=Path), metavar="FILE",
        help="Variables file, as `--vars` of ansible-rulebook.")  # fmt: skip
@option("--job-template", "templates", envvar="RUNNER_IMPORT_RULEBOOK_JOB_TEMPLATE",
        multiple=True, metavar="NAME=PLAYBOOK",
        help="Playbook that a job template runs, repeatable.")  # fmt: skip
@option("--each-alert", envvar="RUNNER_IMPORT_RULEBOOK_EACH_ALERT", is_flag=True,
        help="Read what is said of a message, or of its first alert, of each alert.")  # fmt: skip
@option("--list", "only_list", envvar="RUNNER_IMPORT_RULEBOOK_LIST", is_flag=True,
        help="Say what would become of each rule; write nothing.")  # fmt: skip
@click.pass_obj
def rulebook(
    session: Session,
    file: Path,
    into: Path | None,
    playbooks: Path,
    variables: Path | None,
    templates: tuple[str, ...],
    each_alert: bool,
    only_list: bool,
) -> int:
    """Turn the rules of FILE, a rulebook of ansible-rulebook, into entries.

    A rule on alerts of Alertmanager that runs one playbook becomes an entry at level dry-run that
    matches no alert on which the rule would not fire; the playbook is not changed. The exit code
    is 1 if a rule runs something and has no counterpart, with the reason for each, and 2 if FILE
    is no rulebook.
    """
    from runner.acts import import_rulebook as importing

    pairs = [text.partition("=") for text in templates]
    if wrong := [name for name, sign, path in pairs if not (name and sign and path)]:
        raise click.UsageError(f"--job-template is NAME=PLAYBOOK, not {wrong[0]!r}")
    options = importing.Options(
        playbooks=playbooks.resolve(),
        into=into.resolve() if into else None,
        variables=variables,
        templates={name: path for name, _, path in pairs},
        each_alert=each_alert,
    )
    results = importing.plan(session.project, file, options)
    if not only_list:
        results = importing.write(session.project, results)
    if session.json:
        session.answer([_plain(each) for each in results])
    else:
        _show(session, results, written_now=not only_list)
    return 1 if any(each.missing for each in results) else 0


def _plain(result: Result) -> dict[str, object]:
    return {
        "ruleset": result.ruleset,
        "rule": result.rule,
        "entry": result.entry or None,
        "match": written(result.match),
        "files": result.files,
        "notes": result.notes,
        "reason": result.reason,
        "missing": result.missing,
    }


def _show(session: Session, results: tuple[Result, ...], *, written_now: bool) -> None:
    for each in results:
        if each.entry:
            place = each.files[0] if each.files else f"entry {each.entry}"
            session.screen.line(f"{each.rule}: {place}", "bold")
            session.screen.line(f"  match: {in_words(each.match)}")
            for note in each.notes:
                session.screen.line(f"  note: {note}")
        else:
            answer = "not imported" if each.missing else "needs no entry"
            session.screen.line(f"{each.rule}: {answer}", "bold")
            session.screen.line(f"  {each.reason}")
    made, missing = sum(bool(each.entry) for each in results), sum(e.missing for e in results)
    verb = "became" if written_now else "would become"
    session.note(
        f"{made} of {counted(len(results), 'rule')} {verb} an entry at level dry-run; "
        f"without need of one: {len(results) - made - missing}, without a counterpart: {missing}."
    )
    if made and written_now:
        session.note("Once the runner has read them, alerts start dry runs of them.")
