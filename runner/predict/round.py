"""One round: look, keep what was said, step the greylist, and tell of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from runner.errors import ConfigError
from runner.predict.members import drop_strangers, move, remind, settle_fixed, worries
from runner.predict.outlook import Outlook, look
from runner.predict.spares import count_spares
from runner.predict.told import deliver, publish
from runner.project import Project
from runner.store import nodes, workers

if TYPE_CHECKING:
    from runner.nodes.classify import Prediction
    from runner.predict.opinion import Opinion

ROUND = "predict"
#: How often a prediction that says the same as the last one is kept.
KEEP_EVERY = timedelta(hours=6)

logger = logging.getLogger(__name__)


def step(project: Project, now: datetime) -> bool:
    """One round, if it is due and no other process has it; whether it was done.

    Everything is told again in the next round, so one that was cut off loses nothing.
    """
    with project.database.write() as tx:
        if not workers.claim_round(tx, ROUND, now, project.config.nodes.every):
            return False
    outlook = look(project, now)
    for problem in outlook.readings.problems:
        logger.info("%s", problem)
    # The predictions that say more than what was kept last.
    with project.database.read() as tx:
        last = nodes.latest(tx)
    fresh = tuple(
        one
        for one in outlook.predictions
        if (before := last.get(one.node)) is None
        or before.tier != one.tier
        or outlook.at - before.at >= KEEP_EVERY
    )
    said = opinions(project, outlook, fresh)
    with project.database.write() as tx:
        _remember(tx, outlook, fresh, said)
        settle_fixed(tx, now)
        move(tx, project, outlook)
        drop_strangers(tx, project, now)
        remind(tx, project, now)
        count_spares(tx, project, outlook)
        workers.put_round_note(tx, ROUND, now.isoformat(), now)
    publish(project)
    deliver(project, now)
    return True


def opinions(project: Project, outlook: Outlook, asked: Sequence[Prediction]) -> dict[str, Opinion]:
    """Node → what the model says, of those in `asked` that the rules worry about.

    Empty without a model, and with `decide: rules`. Raises StoreError.
    """
    from runner.predict import opinion

    if project.config.deciders == "rules":
        return {}
    found = {}
    for one in asked:
        if not worries(one.tier):
            continue
        with project.database.read() as tx:
            before = nodes.history(tx, one.node)
        try:
            said = opinion.ask(project.model, one, outlook.signals, before)
        except ConfigError as error:
            logger.warning("the model is not asked about %s: %s", one.node, error)
            continue
        if said is not None:
            found[one.node] = said
    return found


def _remember(
    tx: sa.Connection,
    outlook: Outlook,
    fresh: Sequence[Prediction],
    said: Mapping[str, Opinion],
) -> None:
    from runner.predict.opinion import as_row

    for one in fresh:
        findings = [
            {
                name: value.total_seconds() if isinstance(value, timedelta) else value
                for name, value in asdict(finding).items()
            }
            for finding in one.findings
        ]
        nodes.add_prediction(
            tx,
            at=outlook.at,
            node=one.node,
            by=one.by,
            tier=one.tier,
            ahead=(one.expected, one.soonest, one.latest),
            reasons=one.reasons,
            findings=findings,
        )
        if one.node in said:
            nodes.add_prediction(tx, at=outlook.at, node=one.node, **as_row(said[one.node]))
