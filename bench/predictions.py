"""How good predictions are over simulated fleets; writes the figures into docs/prediction.md.

`python -m bench.predictions docs/prediction.md`. The same figures on every machine: everything is
seeded, and nothing is timed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from runner.config import Nodes
from runner.nodes import backtest, simulate
from runner.nodes.backtest import Report
from runner.nodes.signals import etcd

SEEDS = (101, 102, 103)
HEALTHY, FAILING, DAYS = 44, 36, 30.0
EVERY = "1h"  #: four times as seldom as the default, which gains nothing and costs time
BEGIN = "<!-- figures: made by `make prediction` -->"
END = "<!-- end of figures -->"
#: What must hold; the page says so, and the program fails when it does not.
LEAST_RECALL = 0.95
MOST_FALSE_CRITICALS = 1.0  #: in 1,000 node-days


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """One simulated fleet with what came of its backtest."""

    seed: int
    lives: tuple[simulate.Life, ...]
    report: Report


def main(page: Path) -> int:
    """Run every seed and put the figures into the page; 1 when a bound is broken."""
    with ProcessPoolExecutor(len(SEEDS)) as pool:
        fleets = list(pool.map(_fleet, SEEDS))
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{figures(fleets)}\n{END}{after}", encoding="utf-8")
    return 0 if _holds([fleet.report for fleet in fleets]) else 1


def _fleet(seed: int) -> Fleet:
    simulated = simulate.fleet(seed=seed, healthy=HEALTHY, failing=FAILING, days=DAYS)
    nodes = Nodes.model_validate({"every": EVERY})
    report = backtest.run(simulate.history(simulated), etcd(), nodes)
    print(f"seed {seed}: {report.found} of {report.failures} failures found", flush=True)
    return Fleet(seed=seed, lives=simulated.lives, report=report)


def _holds(reports: Sequence[Report]) -> bool:
    signs = sum(r.failures - r.sudden for r in reports)
    found = sum(r.found - r.found_sudden for r in reports)
    criticals = sum(r.false_criticals for r in reports)
    days = sum(r.node_days for r in reports)
    flapping = sum(len(r.flapping) for r in reports)
    good = found / signs >= LEAST_RECALL and 1000 * criticals / days <= MOST_FALSE_CRITICALS
    return good and flapping == 0


def figures(fleets: Sequence[Fleet]) -> str:
    """Both tables."""
    return f"{_whole(fleets)}\n{_by_fate(fleets)}"


def _whole(fleets: Sequence[Fleet]) -> str:
    rows = [(str(fleet.seed), [fleet.report]) for fleet in fleets]
    rows.append(("together", [fleet.report for fleet in fleets]))
    head = (
        "| seed | node-days | failures | without a sign | recall | recall with a sign | critical "
        "before failure | median lead | precision | false criticals / 1,000 node-days | flapping "
        "| moves / healthy node / week |\n|" + "---|" * 12 + "\n"
    )
    return head + "".join(_row(name, reports) for name, reports in rows)


def _row(name: str, reports: Sequence[Report]) -> str:
    total = {
        key: sum(getattr(report, key) for report in reports)
        for key in ("node_days", "failures", "sudden", "found", "found_sudden", "found_critical",
                    "right", "false", "false_criticals", "moves", "healthy_days")
    }  # fmt: skip
    leads = sorted(lead for report in reports for lead in report.leads)
    signs = total["failures"] - total["sudden"]
    cells = (
        name,
        f"{total['node_days']:,.0f}",
        f"{total['failures']}",
        f"{total['sudden']}",
        f"{total['found'] / total['failures']:.1%}",
        f"{(total['found'] - total['found_sudden']) / signs:.1%}",
        f"{total['found_critical'] / total['failures']:.1%}",
        _hours(leads[len(leads) // 2]),
        f"{total['right'] / (total['right'] + total['false']):.1%}",
        f"{1000 * total['false_criticals'] / total['node_days']:.2f}",
        f"{sum(len(report.flapping) for report in reports)}",
        f"{7 * total['moves'] / total['healthy_days']:.3f}",
    )
    return "| " + " | ".join(cells) + " |\n"


def _by_fate(fleets: Sequence[Fleet]) -> str:
    failed, found = Counter[str](), Counter[str]()
    for fleet in fleets:
        for life in fleet.lives:
            if life.fails is not None:
                failed[life.fate] += 1
                found[life.fate] += life.node in fleet.report.found_nodes
    lines = ["| fate | from first sign to failure | failures | found |\n|---|---|---|---|\n"]
    for fate, count in sorted(failed.items()):
        lead = simulate.FATES[fate].lead or (0.0, 0.0)
        span = " to ".join(_hours(timedelta(days=days)) for days in lead)
        lines.append(f"| {fate.replace('_', ' ')} | {span} | {count} | {found[fate]} |\n")
    return "".join(lines)


def _hours(span: timedelta) -> str:
    hours = span / timedelta(hours=1)
    if hours < 1:
        return f"{60 * hours:.0f} min"
    return f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.1f} d"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
