"""`runner case`: decisions as regression tests, offline and without a key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from runner.cases import file as files
from runner.cases.briefing import Setting
from runner.cases.file import CaseFile
from runner.cases.report import Figures, figures, junit
from runner.cases.run import Decide, Tried, rules_alone
from runner.cases.run import run as run_case
from runner.cli import Noun, option, set_output
from runner.cli.report import counted
from runner.cli.session import Session
from runner.errors import CatalogError, NotFound, RunnerError, UsageError

NUMBER = click.IntRange(1, 2**63 - 1)
PATHS = click.Path(path_type=Path)
MAX_REPEAT = 100


@click.group(cls=Noun)
def case() -> None:
    """Decide recorded incidents again, and compare with the expected decisions."""


@case.command(cls=click.Command)
@click.argument("paths", nargs=-1, type=PATHS, metavar="[PATH]...")
@option("--decider", type=click.Choice(files.DECIDERS), default="rules", show_default=True,
        help="Who decides.")  # fmt: skip
@option("--repeat", type=click.IntRange(1, MAX_REPEAT), default=1, show_default=True,
        help="Decide each case N times, and report how often the answers agree.")  # fmt: skip
@option("--record", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
        help="Record the model's answers in this folder.")  # fmt: skip
@option("--replay", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
        help="Replay the answers recorded in this folder; no key is needed.")  # fmt: skip
@option("--junit", "report", envvar="RUNNER_CASE_RUN_JUNIT",
        type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
        help="Also write JUnit XML to this file.")  # fmt: skip
@click.option("--output", "-o", type=click.Choice(["table", "json", "junit"]),
              envvar="RUNNER_OUTPUT", show_envvar=True, expose_value=False, is_eager=True,
              callback=set_output,
              help="Output format for people, programs or CI servers.")  # fmt: skip
@click.pass_obj
def run(session: Session, paths: tuple[Path, ...], decider: str, repeat: int,
        record: Path | None, replay: Path | None, report: Path | None) -> int:  # fmt: skip
    """Decide cases offline; the exit code is 1 if one fails.

    PATH is a case file or a folder; the default is all cases of the project. Store, Prometheus and
    Alertmanager are not used, and a model only with `--decider model` or `both`.
    """
    # What all cases share.
    project = session.project
    setting = Setting(
        config=project.config,
        catalog=project.catalog,
        mask=project.mask,
        environment=project.ansible_environment,
    )
    decide = _decide(setting, decider, record, replay)
    cases, broken = _read(session, paths)
    tried = []
    with session.busy("deciding"):
        for each in cases:
            try:
                tried.append(run_case(each, setting, decide, decider=decider, repeat=repeat))
            except RunnerError as error:
                text = str(error)
                broken.append(text if str(each.path) in text else f"{each.path}: {text}")
    if report is not None:
        _write(report, junit(tried, broken))
    _tell(session, figures(decider, tried), tried, broken)
    return 1 if broken or any(each.failures for each in tried) else 0


def _decide(setting: Setting, decider: str, record: Path | None, replay: Path | None) -> Decide:
    """Who decides. Raises UsageError for what does not go together."""
    if decider == "rules":
        if record or replay:
            raise UsageError("--record and --replay are for --decider model or both")
        return rules_alone
    if record and replay:
        raise UsageError("give --record or --replay, not both")
    from runner.cases.model import Asker, Recorder, Replayer, deciding

    link = Recorder(record) if record else Replayer(replay) if replay else None
    return deciding(Asker(setting, link), "model" if decider == "model" else "both")


def _read(session: Session, paths: Sequence[Path]) -> tuple[list[CaseFile], list[str]]:
    """The cases, and a line for each file that is none."""
    cases, broken = [], []
    for path in files.find(session.project.config, paths):
        try:
            cases.append(files.load(path))
        except CatalogError as error:
            broken += str(error).splitlines()
    if not cases and not broken:
        raise NotFound("no cases found; write one below playbooks/ENTRY/cases or tests/cases")
    return cases, broken


def _tell(session: Session, told: Figures, tried: Sequence[Tried], broken: Sequence[str]) -> None:
    if session.json:
        cases = [_plain(each) for each in tried]
        session.answer({"figures": told, "cases": cases, "broken": broken})
        return
    if session.output == "junit":
        click.echo(junit(tried, broken), nl=False)
        return
    rows = []
    for each in tried:
        if not each.wrong and not each.failures:
            continue
        odd = next((t for t in each.trials if t.said not in each.case.expect.entry), each.trials[0])
        why = "; ".join(each.failures) or f"{each.wrong[0]}; known: {each.miss}"
        result = "failed" if each.failures else "known"
        rows.append((result, each.case.name, odd.said, odd.level, why))
    if rows:
        session.screen.table(("result", "case", "chosen", "level", "why"), rows)
        session.screen.line()
    # Name each entry that took decisions away from what is expected.
    thieves: dict[str, list[str]] = {}
    for each in tried:
        for entry in each.stolen_by:
            thieves.setdefault(entry, []).append(each.case.name)
    for entry, names in sorted(thieves.items()):
        some = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        text = f"{entry} takes the decision of {counted(len(names), 'case')}: {some}"
        session.screen.line(text, "bold red")
        session.screen.line("  make its match narrower, or expect it there")
    for line in broken:
        session.screen.line(f"error  {line}", "red")
    session.screen.pairs(_lines(told))


def _lines(told: Figures) -> list[tuple[str, str]]:
    passed = told.cases - told.failed
    lines = [
        ("decider", told.decider),
        ("cases", f"{told.cases}, {passed} passed, {told.failed} failed"),
        ("known misses", str(told.known)),
        ("accuracy", _percent(told.accuracy)),
        ("acted", f"{told.acted}, of which right {_percent(told.acted_precision)}"),
        ("coverage", f"{_percent(told.coverage)} of what should act"),
        ("harmful", str(told.harmful)),
        ("took", f"{told.seconds:.2f}s"),
    ]
    if told.calls:
        lines[-1:] = [
            ("agreement", _percent(told.agreement)),
            ("no answer", str(told.unanswered)),
            ("model", f"{told.calls} calls, {told.tokens} tokens, {told.money:.4f} in money"),
            *lines[-1:],
        ]
    return lines


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.1%}"


def _plain(each: Tried) -> dict[str, Any]:
    return {
        "case": each.case.name,
        "path": each.case.path,
        "expected": each.case.expect.entry,
        "passed": not each.failures,
        "failures": each.failures,
        "known": each.miss if each.wrong else None,
        "harm": each.harm,
        "stolen_by": each.stolen_by,
        "agreement": each.agreement,
        "trials": [
            {"entry": t.said, "hosts": t.hosts, "level": t.level, "reason": t.reason,
             "decisions": t.answer.decisions}
            for t in each.trials
        ],
    }  # fmt: skip


@case.command("list")
@click.argument("paths", nargs=-1, type=PATHS, metavar="[PATH]...")
@click.pass_obj
def list_(session: Session, paths: tuple[Path, ...]) -> int:
    """List the cases and what each expects."""
    cases, broken = _read(session, paths)
    if session.json:
        session.answer([{"name": c.name, **c.model_dump(mode="json")} for c in cases])
    else:
        rows = [(c.name, " or ".join(c.expect.entry), c.expect.level or "", c.title) for c in cases]
        session.screen.table(("case", "expects", "level", "title"), rows)
    for line in broken:
        session.note(line)
    return 3 if broken else 0


@case.command()
@click.argument("incident", type=NUMBER)
@option("--to", type=click.Path(path_type=Path), metavar="PATH",
        help="File or folder to write; by default where the case belongs.")  # fmt: skip
@click.pass_obj
def add(session: Session, incident: int, to: Path | None) -> None:
    """Create a case from an incident.

    Existing files are kept. Evidence is masked; still, check the file before you share it.
    """
    from runner import incident_report
    from runner.cases.harvest import harvest

    project = session.project
    with project.database.read() as tx:
        found = incident_report.load(tx, incident)
    try:
        inventory = project.inventory()
    except RunnerError as error:
        session.note(f"the case has no inventory of its own: {error}")
        inventory = None
    name = f"incident_{incident}.yml"
    if to is not None:
        path = to / name if to.is_dir() else to
    else:
        entry, config = found.incident.entry, project.config
        folder = config.project.playbooks / entry if entry else config.root / "tests"
        path = folder / "cases" / name
    _write(path, harvest(found, inventory, project.mask), new=True)
    made = files.load(path)
    if session.json:
        session.answer({"path": path, "expect": made.expect.model_dump(mode="json")})
        return
    session.screen.line(f"{path} expects {' or '.join(made.expect.entry)}")
    session.screen.line(f"  runner case run {path}")


def _write(path: Path, text: str, *, new: bool = False) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x" if new else "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} exists already; name another with --to") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})") from None
