"""What an incident gathers on its way: evidence, decisions, verdict, plan, blast radius, and
verifications.

Each `put` replaces what was there, because a step may be repeated after a crash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from runner.incident import (
    BlastRadius,
    Check,
    Decision,
    Evidence,
    GroupReach,
    Level,
    Plan,
    Reason,
    Result,
    State,
    Verdict,
    Verification,
    todays_word,
)
from runner.store.tables import (
    blast_radii,
    decisions,
    evidence,
    incidents,
    plans,
    runs,
    verdicts,
    verifications,
)


def put_evidence(tx: sa.Connection, incident: int, items: Sequence[Evidence]) -> None:
    """Replace the evidence of an incident."""
    tx.execute(evidence.delete().where(evidence.c.incident == incident))
    if items:
        tx.execute(evidence.insert(), [asdict(item) | {"incident": incident} for item in items])


def evidence_of(tx: sa.Connection, incident: int) -> tuple[Evidence, ...]:
    """The evidence of an incident, by number."""
    query = sa.select(evidence).where(evidence.c.incident == incident).order_by(evidence.c.number)
    return tuple(Evidence(**_without(row, "incident")) for row in tx.execute(query).mappings())


def put_decision(tx: sa.Connection, incident: int, decision: Decision) -> None:
    """Keep what one decider answered; every decider has one answer."""
    same = (decisions.c.incident == incident) & (decisions.c.decider == decision.decider)
    tx.execute(decisions.delete().where(same))
    row = {
        "incident": incident,
        "decider": decision.decider,
        "entry": decision.entry,
        "reason": decision.reason,
        "values": dict(decision.values),
        "cited": list(decision.cited),
        "confidence": decision.confidence,
        "alternatives": [list(pair) for pair in decision.alternatives],
        "hosts": list(decision.hosts),
    }
    tx.execute(decisions.insert().values(row))


def decisions_of(tx: sa.Connection, incident: int) -> tuple[Decision, ...]:
    """Every answer that was given, by decider."""
    query = sa.select(decisions).where(decisions.c.incident == incident)
    query = query.order_by(decisions.c.decider)
    return tuple(
        Decision(
            **_without(row, "incident", "cited", "alternatives", "hosts"),
            cited=tuple(row["cited"]),
            alternatives=tuple((entry, why) for entry, why in row["alternatives"]),
            hosts=tuple(row["hosts"] or ()),
        )
        for row in tx.execute(query).mappings()
    )


def put_verdict(tx: sa.Connection, incident: int, verdict: Verdict) -> None:
    """Keep the latest verdict."""
    tx.execute(verdicts.delete().where(verdicts.c.incident == incident))
    reasons = [
        {"rule": reason.rule, "level": reason.level, "text": reason.text}
        for reason in verdict.reasons
    ]
    tx.execute(verdicts.insert().values(incident=incident, level=verdict.level, reasons=reasons))


def verdict_of(tx: sa.Connection, incident: int) -> Verdict | None:
    """The latest verdict."""
    row = tx.execute(sa.select(verdicts).where(verdicts.c.incident == incident)).first()
    if row is None:
        return None
    today = ({"rule": todays_word(r["rule"]), "level": Level(r["level"])} for r in row.reasons)
    reasons = tuple(Reason(**old | new) for old, new in zip(row.reasons, today, strict=True))
    return Verdict(level=Level(row.level), reasons=reasons)


def put_plan(tx: sa.Connection, incident: int, plan: Plan) -> None:
    """Keep the plan that a person is shown and the pre-flight compares."""
    tx.execute(plans.delete().where(plans.c.incident == incident))
    tx.execute(plans.insert().values(_plan_row(plan) | {"incident": incident}))


def plan_of(tx: sa.Connection, incident: int) -> Plan | None:
    """The plan of an incident."""
    row = tx.execute(sa.select(plans).where(plans.c.incident == incident)).mappings().first()
    if row is None:
        return None
    return _plan(_without(row, "incident"))


def acting(tx: sa.Connection, besides: int) -> dict[int, Plan]:
    """The plans that are being carried out now, by incident, without that of `besides`."""
    states = [State.RUNNING, State.VERIFYING, State.UNDOING]
    query = (
        sa.select(plans)
        .join(incidents, incidents.c.id == plans.c.incident)
        .where(incidents.c.state.in_(states), incidents.c.id != besides)
    )
    rows = tx.execute(query).mappings()
    return {row["incident"]: _plan(_without(row, "incident")) for row in rows}


def _plan_row(plan: Plan) -> dict[str, Any]:
    return vars(plan) | {
        "hosts": list(plan.hosts),
        "delegates": list(plan.delegates),
        "variables": dict(plan.variables),
        "files": dict(plan.files),
        "inventory": {host: dict(names) for host, names in plan.inventory.items()},
        "places": dict(plan.places),
        "loaded": dict(plan.loaded),
        "uncovered": list(plan.uncovered),
        "steps": [_plan_row(step) for step in plan.steps],
    }


def _plan(row: dict[str, Any]) -> Plan:
    return Plan(
        **row
        | {
            "hosts": tuple(row["hosts"]),
            "delegates": tuple(row["delegates"]),
            "files": row["files"] or {},
            "inventory": row["inventory"] or {},
            "places": row["places"] or {},
            "loaded": row.get("loaded") or {},
            "uncovered": tuple(row.get("uncovered") or ()),
            "key": row.get("key") or "",
            "steps": tuple(_plan(step) for step in row["steps"] or ()),
        }
    )


def put_verification(
    tx: sa.Connection, incident: int, run: str, verification: Verification
) -> None:
    """Keep whether a run had its effect."""
    tx.execute(verifications.delete().where(verifications.c.run == run))
    row = {
        "run": run,
        "incident": incident,
        "result": verification.result,
        "reason": verification.reason,
        "checks": [asdict(check) for check in verification.checks],
        "at": verification.at,
    }
    tx.execute(verifications.insert().values(row))


def verifications_of(tx: sa.Connection, incident: int) -> dict[str, Verification]:
    """Run id → verification."""
    query = sa.select(verifications).where(verifications.c.incident == incident)
    return {
        row["run"]: Verification(
            result=Result(row["result"]),
            reason=row["reason"],
            checks=tuple(
                Check(**check | {"result": Result(check["result"])}) for check in row["checks"]
            ),
            at=row["at"],
        )
        for row in tx.execute(query).mappings()
    }


def verified(tx: sa.Connection, runs: Sequence[str]) -> dict[str, Result]:
    """Run id → result, for these runs."""
    query = sa.select(verifications.c.run, verifications.c.result).where(
        verifications.c.run.in_(list(runs))
    )
    return {run: Result(result) for run, result in tx.execute(query)}


def results(tx: sa.Connection, start: datetime) -> dict[str, int]:
    """Result → how many verifications of runs that began since then have ended so."""
    kind = verifications.c.result
    counted = sa.select(kind, sa.func.count()).join(runs, runs.c.id == verifications.c.run)
    found = tx.execute(counted.where(runs.c.started_at >= start).group_by(kind))
    return {result: count for result, count in found}


def _without(row: Any, *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


_LISTS = ("touched", "staying")


def put_radius(tx: sa.Connection, incident: int, radius: BlastRadius) -> None:
    """Keep the latest radius."""
    tx.execute(blast_radii.delete().where(blast_radii.c.incident == incident))
    tx.execute(blast_radii.insert().values(incident=incident, radius=asdict(radius)))


def radius_of(tx: sa.Connection, incident: int) -> BlastRadius | None:
    """The radius of an incident; None before policy has judged."""
    query = sa.select(blast_radii.c.radius).where(blast_radii.c.incident == incident)
    content = tx.execute(query).scalar()
    return radius_from_json(content) if content else None


def radii_of(tx: sa.Connection, incidents: list[int]) -> dict[int, BlastRadius]:
    """Incident → radius, for those that have one."""
    query = sa.select(blast_radii).where(blast_radii.c.incident.in_(incidents))
    return {row.incident: radius_from_json(row.radius) for row in tx.execute(query)}


def radius_from_json(content: Mapping[str, Any]) -> BlastRadius:
    """The radius as `put` wrote it."""
    groups = tuple(
        GroupReach(**{**group, **{name: tuple(group[name]) for name in _LISTS}})
        for group in content["groups"]
    )
    lists = {name: tuple(content[name]) for name in ("hosts", "delegates", "domains", "unknown")}
    return BlastRadius(**{**content, **lists, "groups": groups})
