"""`runner catalog suggest`: what people approved and what helped, as matchers for entry.yml."""

from __future__ import annotations

from dataclasses import replace

import click

from runner.acts.suggest import Suggestion, suggestions
from runner.cases import briefing
from runner.cases.briefing import Setting
from runner.cases.file import NONE, CaseFile, find, load
from runner.cases.run import rules_alone
from runner.catalog import Catalog
from runner.catalog.suggest import diff, extended
from runner.cli import Verb
from runner.cli.report import counted
from runner.cli.session import Session
from runner.errors import RunnerError


@click.command(cls=Verb)
@click.pass_obj
def suggest(session: Session) -> None:
    """Suggest matchers for entries that were only considered, approved, and fixed the alert.

    Prints a diff of each entry.yml, and the cases that rules would decide differently with it.
    Nothing is changed.
    """
    found = suggestions(session.project)
    setting = Setting(
        config=session.project.config,
        catalog=session.project.catalog,
        mask=session.project.mask,
        environment=session.project.ansible_environment,
    )
    with session.busy("deciding the cases"):
        changes = [_changes(setting, each) for each in found]
    if session.json:
        session.answer(
            [
                {
                    "entry": each.entry.id,
                    "alert": each.alertname,
                    "match": [str(matcher) for matcher in each.alternative],
                    "incidents": each.incidents,
                    "diff": diff(each.entry, each.alternative),
                    "cases": changed,
                }
                for each, changed in zip(found, changes, strict=True)
            ]
        )
        return
    for each, changed in zip(found, changes, strict=True):
        numbers = ", ".join(f"#{number}" for number in each.incidents[:10])
        times = counted(len(each.incidents), "time")
        session.screen.line(
            f"{each.entry.id} fixed {each.alertname} {times} after an approval: {numbers}", "bold"
        )
        session.screen.diff(diff(each.entry, each.alternative))
        for case in changed:
            line = f"{case['case']}: rules would choose {case['then']} instead of {case['now']}"
            session.screen.line(f"  {line} ({case['right']})")
        if not changed:
            session.screen.line("  No case would be decided differently.")
    if not found:
        session.note("Nothing to suggest: no entry fixed an alert that it does not match.")


def _changes(setting: Setting, suggestion: Suggestion) -> list[dict[str, str]]:
    """The project's cases that rules would decide differently; what cannot be read is left out."""
    entry = extended(suggestion.entry, suggestion.alternative)
    changed = replace(setting.catalog, entries={**setting.catalog.entries, entry.id: entry})
    found = []
    for path in find(setting.config):
        try:
            case = load(path)
            now, then = (_said(setting, case, each) for each in (setting.catalog, changed))
        except RunnerError:
            continue
        if now != then:
            right = "expected" if then in case.expect.entry else "not expected"
            found.append({"case": case.name, "now": now, "then": then, "right": right})
    return found


def _said(setting: Setting, case: CaseFile, catalog: Catalog) -> str:
    told = briefing.of(case, setting, catalog)
    return rules_alone(told).decision.entry or NONE if told.hosts else NONE
