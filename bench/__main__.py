"""The table of measures and goals: `python -m bench [--json FILE] [GROUP ...]`.

Everything is measured beside a control in one sitting, and talks to loopback only.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench import acknowledge, incidents, inventories, process, roles, runs, warm
from bench.measure import Measure

GROUPS: dict[str, Callable[[], Iterator[Measure]]] = {
    "runs": runs.measure,
    "roles": roles.measure,
    "warm": warm.measure,
    "incidents": incidents.measure,
    "acknowledge": acknowledge.measure,
    "inventories": inventories.measure,
    "process": process.measure,
}


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    given = arguments.parse_args()
    if unknown := set(given.groups) - GROUPS.keys():
        arguments.error(f"no group of measures is called {', '.join(sorted(unknown))}")
    found = []
    print("| measure | beside | figure | goal |\n|---|---|---|---|", flush=True)
    for group in given.groups or GROUPS:
        for one in GROUPS[group]():
            found.append(one)
            print(_row(one), flush=True)
    if given.json:
        content = {"at": datetime.now(UTC).isoformat(), "measures": [asdict(one) for one in found]}
        given.json.write_text(json.dumps(content, indent=2) + "\n")


def _row(one: Measure) -> str:
    figure = one.note if one.value is None else f"{one.value:.2f} {one.unit}"
    return f"| {one.name} | {one.control or '-'} | {figure} | {one.goal or '-'} |"


if __name__ == "__main__":
    main()
