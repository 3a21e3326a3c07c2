"""What people may ask of records; what they may do with them is in `acts`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from runner.autonomy.record import Earned, Key, Setting, Trial, Uplift
from runner.incident import Transition
from runner.project import Project
from runner.steps import learn
from runner.store import audit_log, learning

#: What the audit log calls a change of a record.
ACTIONS = ("promoted", "demoted", "autonomy_kept")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One record as it stands: what it has earned, and whether acting helps."""

    standing: Earned
    uplift: Uplift


@dataclass(frozen=True, kw_only=True)
class LevelHistory:
    """How one record came to its level. Each part has the oldest first."""

    standing: Earned
    trials: tuple[Trial, ...]
    settings: tuple[Setting, ...]
    trail: tuple[Transition, ...]  #: the newest thousand changes of all records have it


def records(project: Project, entry: str | None = None) -> list[Record]:
    """Every record, or those of one entry, by entry, alert and environment."""
    now = datetime.now(UTC)
    with project.database.read() as tx:
        return [
            Record(
                standing=learn.standing(project, tx, key, now),
                uplift=learn.helps(project, tx, key, now),
            )
            for key in learning.keys(tx)
            if entry in (None, key.entry)
        ]


def history(project: Project, key: Key) -> LevelHistory:
    """What counted in a record, and what the audit log has of it."""
    now, wanted = datetime.now(UTC), vars(key).items()
    with project.database.read() as tx:
        trials = learn.trials(project, tx, key, now)
        told = audit_log.of_actions(tx, ACTIONS)
        return LevelHistory(
            standing=learn.standing(project, tx, key, now),
            trials=tuple(sorted(trials, key=lambda each: each.at)),
            settings=learning.settings(tx, key),
            trail=tuple(row for row in told if wanted <= row.detail.items()),
        )


def measure(project: Project) -> int:
    """Measure now what clears by itself, for every record with a run; how many were measured."""
    return learn.measure_all(project, datetime.now(UTC))
