"""`runner predict`: which nodes are about to fail, and how good that would have been so far."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

import click

from runner import predict as predictions
from runner.cli import Verb, option
from runner.cli.node import TIER_ORDER, fails_in
from runner.cli.report import short
from runner.cli.session import Session
from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.nodes.backtest import History, Report

#: Nodes of `--simulate`, of each kind, and the days that they are watched.
SIMULATED = {"healthy": 20, "failing": 18, "days": 30.0}

#: What a report works out of its counts.
SHARES = (
    "precision", "recall", "recall_of_signs", "median_lead", "shortest_lead",
    "false_criticals_per_1000", "moves_per_week",
)  # fmt: skip


@click.command(cls=Verb)
@option("--node", metavar="HOST", help="Only this node.")
@option("--backtest", is_flag=True, help="Show how good the predictions would have been.")
@option("--csv", type=click.File(encoding="utf-8"), metavar="FILE",
        help="Backtest over a table of time, node, signal and value.")  # fmt: skip
@option("--from", "start", metavar="TIME", envvar="RUNNER_PREDICT_FROM",
        help="Backtest over Prometheus from this time, ISO 8601.")  # fmt: skip
@option("--to", metavar="TIME", help="End of the backtest; default now.")
@option("--failed", multiple=True, metavar="HOST=TIME",
        help="Node that failed at this time, repeatable.")  # fmt: skip
@option("--simulate", type=click.IntRange(0, 2**32 - 1), metavar="SEED",
        help="Backtest over simulated nodes, the same for the same SEED.")  # fmt: skip
@click.pass_obj
def predict(session: Session, node: str | None, backtest: bool, csv: IO[str] | None,
            start: str | None, to: str | None, failed: tuple[str, ...],
            simulate: int | None) -> int:  # fmt: skip
    """Predict which nodes are about to fail (read-only).

    A configured model is asked about the nodes in question, within its budget; both answers are
    shown. The exit code is 1 if a node is in the warning or critical tier. With --backtest the
    same rules and greylist run over a history, and the figures are printed.
    """
    sources = [each for each in (csv, start, simulate) if each is not None]
    if not backtest:
        if sources or to or failed:
            raise UsageError("--csv, --from, --to, --failed and --simulate need --backtest")
        return _now(session, node)
    if node is not None or len(sources) != 1:
        raise UsageError("--backtest takes one of --csv, --from and --simulate, and no --node")
    if start is None and (to or failed):
        raise UsageError("--to and --failed go with --from")
    predictions.look_for_extra()
    from runner.nodes import backtest as testing
    from runner.nodes import signals

    history = _history(session, csv, start, to, failed, simulate)
    settings = session.project.config.nodes
    with session.busy("running the rules over the history"):
        report = testing.run(history, signals.in_force(settings), settings)
    if session.json:
        session.answer(vars(report) | {name: getattr(report, name) for name in SHARES})
    else:
        session.screen.pairs(figures(report))
    return 0


def _now(session: Session, node: str | None) -> int:
    with session.busy("asking Prometheus"):
        outlook = predictions.look(session.project, datetime.now(UTC))
    found = outlook.predictions
    if node is not None:
        found = (predictions.one_of(found, node),)
    with session.busy("asking the model"):
        said = predictions.opinions(session.project, outlook, found)
    if session.json:
        problems = outlook.readings.problems
        session.answer({"predictions": found, "model": said, "problems": problems})
    else:
        rows = []
        for one in sorted(found, key=lambda one: TIER_ORDER.index(one.tier)):
            expected, because = fails_in(one.expected), " ".join(one.reasons)
            soonest, latest = (short(span) if span else "" for span in (one.soonest, one.latest))
            rows.append((one.node, str(one.tier), expected, soonest, latest, because))
            if opinion := said.get(one.node):  # the model's, below what the rules say
                expected = fails_in(opinion.expected)
                rows.append(("", str(opinion.tier), expected, "", "", opinion.said))
        head = ("node", "tier", "fails in", "soonest", "latest", "because")
        session.screen.table(head, rows)
        for problem in outlook.readings.problems:
            session.note(problem)
    return 1 if any(str(one.tier) in ("warning", "critical") for one in found) else 0


def _history(
    session: Session,
    table: IO[str] | None,
    start: str | None,
    end: str | None,
    failed: tuple[str, ...],
    seed: int | None,
) -> History:
    from runner.nodes import simulate
    from runner.nodes import table as tables

    if seed is not None:
        return simulate.history(simulate.fleet(seed=seed, **SIMULATED))  # type: ignore[arg-type]
    if table is not None:
        settings = session.project.config.nodes
        return tables.read(table, settings.step, predictions.signal_names(settings))
    failures = {}
    for each in failed:
        node, _, at = each.partition("=")
        if not node or not at:
            raise UsageError("--failed takes HOST=TIME, as db1=2026-11-01T12:00:00Z")
        failures[node] = _time(at, "--failed")
    with session.busy("reading the history from Prometheus"):
        return predictions.history(
            session.project, _time(start or "", "--from"),
            _time(end, "--to") if end else datetime.now(UTC), failures,
        )  # fmt: skip


def _time(text: str, name: str) -> datetime:
    from runner.nodes.table import moment

    try:
        return moment(text)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"{name}: {text[:40]!r} is no time; write 2026-11-01T12:00:00Z") from None


def figures(report: Report) -> list[tuple[str, str]]:
    """The figures of a backtest, for people."""
    lead, least = report.median_lead, report.shortest_lead
    return [
        ("history", f"{report.nodes} nodes, {report.node_days:,.0f} node-days"),
        ("failures", f"{report.failures}, of them {report.sudden} without any sign"),
        ("recall", f"{_share(report.recall)} of all, {_share(report.recall_of_signs)} of those "
                   "with a sign"),
        ("found critical", f"{report.found_critical} of {report.found} found"),
        ("lead time", f"median {short(lead)}, shortest {short(least)}" if lead and least else
                      "no failure was found"),
        ("precision", f"{_share(report.precision)}: {report.right} right, {report.false} false, "
                      f"{report.open} still open"),
        ("false criticals", f"{report.false_criticals_per_1000:.2f} in 1,000 node-days"),
        ("flapping", f"{len(report.flapping)} nodes joined more than twice in a week; "
                     f"{report.moves_per_week:.3f} joins and leaves of a healthy node in a week"),
        ("missed", ", ".join(report.missed) or "none that had a sign"),
    ]  # fmt: skip


def _share(share: Any) -> str:
    return "unknown" if share is None else f"{share:.1%}"
