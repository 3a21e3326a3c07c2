"""A simulated year: how entries earn, lose and keep their level, by the rules that really decide.

`python -m bench.year docs` writes docs/autonomy.svg and the figures in docs/autonomy.md. The
dice are seeded; marks, levels, uplift and verdicts come from `runner.autonomy` and `runner.policy`.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.year_svg import draw
from runner import policy
from runner.autonomy import earn, trial, uplift
from runner.autonomy.record import (
    Change,
    Deed,
    Facts,
    Feedback,
    Helps,
    Key,
    Mark,
    Spell,
    Trial,
    Uplift,
)
from runner.catalog.entry import Entry
from runner.config import Config
from runner.incident import (
    Alert,
    AlertStatus,
    Decision,
    Level,
    Outcome,
    Purpose,
    Reason,
    Result,
    State,
)

SEED = 20260101
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 365
MARKS = ("<!-- year: begin -->", "<!-- year: end -->")
CONFIG = Config.model_validate(
    {
        "level": "auto",
        "environment": "production",
        "autonomy": {
            "earn": True,
            "uplift": {"required": True, "level": "dry-run", "history": "90d"},
        },
    }
)


@dataclass(frozen=True, kw_only=True)
class World:
    """What is true of one entry and its alert, which the runner does not know."""

    entry: str
    alert: str
    story: str
    per_day: float
    works: float  #: share of runs that help
    clears: float  #: share of alerts that end by themselves in the time a run has
    chosen_rightly: float = 0.995
    ceiling: Level = Level.AUTO
    broken: tuple[int, int] = (0, 0)  #: days on which only a third of the runs help


WORLDS = (
    World(
        entry="restart_service", alert="ServiceDown", per_day=2.5, works=0.985, clears=0.08,
        story="It works, and it is needed.",
    ),
    World(
        entry="rollback_release", alert="BadRelease", per_day=2.0, works=0.98, clears=0.02,
        broken=(150, 185), story="A change breaks its role from day 150 to 185.",
    ),
    World(
        entry="flush_cache", alert="HighLatency", per_day=2.5, works=0.97, clears=0.93,
        story="The alert mostly clears by itself.",
    ),
    World(
        entry="clean_disk", alert="DiskFull", per_day=1.5, works=0.82, clears=0.01,
        story="It often fixes the alert, but not often enough.",
    ),
    World(
        entry="failover_database", alert="PrimaryDown", per_day=1.2, works=0.99, clears=0.05,
        ceiling=Level.APPROVE, story="Its entry.yml allows approve at most.",
    ),
    World(
        entry="renew_certificate", alert="CertificateExpires", per_day=0.06, works=1.0,
        clears=0.0, story="It is needed too seldom to prove itself.",
    ),
)  # fmt: skip


@dataclass(kw_only=True)
class Life:
    """One entry's year."""

    world: World
    trials: list[Trial] = field(default_factory=list)
    spells: list[Spell] = field(default_factory=list)  #: firings that nobody touched
    ran: list[Trial] = field(default_factory=list)
    levels: list[tuple[datetime, Level]] = field(default_factory=list)  #: granted, by incident
    steps: list[Change] = field(default_factory=list)
    helps: Uplift | None = None
    incidents: int = 0
    above: int = 0  #: verdicts above a ceiling; anything but 0 is a fault

    @property
    def key(self) -> Key:
        return Key(self.world.entry, self.world.alert, "production")


def simulate(seed: int = SEED) -> list[Life]:
    """Every life of the year, each with dice of its own."""
    return [live(world, random.Random(f"{seed} {world.entry}")) for world in WORLDS]


def live(world: World, dice: random.Random) -> Life:
    life = Life(world=world)
    for number, at in enumerate(_arrivals(world, dice), start=1):
        if number % 10 == 1:
            life.helps = _measured(life, at)
        # One host of ten is kept at observe: what happens there is the comparison.
        host = Level.OBSERVE if dice.random() < 0.1 else Level.AUTO
        level = _granted(life, at, host)
        life.incidents = number
        facts = _happens(life, number, at, level, dice)
        if (found := trial.of(facts)) is not None:
            life.trials.append(found)
            if facts.deeds:
                life.ran.append(found)
    life.helps = _measured(life, START + timedelta(days=DAYS))
    return life


def _arrivals(world: World, dice: random.Random) -> Iterator[datetime]:
    at = START
    while True:
        at += timedelta(days=dice.expovariate(world.per_day))
        if at >= START + timedelta(days=DAYS):
            return
        yield at


def _granted(life: Life, at: datetime, host: Level) -> Level:
    """The level of the verdict on an incident, through every rule of policy."""
    standing = earn.earned(life.key, life.trials, (), CONFIG.autonomy, at, life.helps)
    before = life.levels[-1][1] if life.levels else CONFIG.autonomy.start
    if standing.level is not before:
        why = standing.text
        life.steps.append(Change(at=at, previous=before, level=standing.level, why=why))
    life.levels.append((at, standing.level))
    earned = Reason(rule="earned", level=standing.level, text=standing.text)
    verdict = policy.judge(_case(life.world, at, host, earned))
    ceiling = Level.lowest(life.world.ceiling, host, standing.level)
    life.above += verdict.level.rank > ceiling.rank
    return verdict.level


def _case(world: World, at: datetime, host: Level, earned: Reason) -> policy.Situation:
    entry = Entry.model_validate(
        {
            "id": world.entry,
            "folder": Path(world.entry),
            "title": world.story,
            "description": world.story,
            "role": world.entry,
            "level": world.ceiling,
            "risk": "low",
        }
    )
    alert = Alert(
        fingerprint="f" * 16,
        status=AlertStatus.FIRING,
        labels={"alertname": world.alert},
        annotations={},
        starts_at=at,
    )
    return policy.Situation(
        entry=entry,
        hosts=("web1",),
        touched=("web1",),
        alert=alert,
        decisions=(Decision(decider="rules", entry=world.entry, reason="It fits."),),
        config=CONFIG,
        ceiling=Level.AUTO,
        variables={"web1": {"runner_level": str(host)}},
        groups={"all": ("web1",)},
        earned=earned,
        now=at,
    )


def _happens(life: Life, number: int, at: datetime, level: Level, dice: random.Random) -> Facts:
    """What the incident comes to at this level, and what a person says of it."""
    right = dice.random() < life.world.chosen_rightly
    told, said, cleared = dice.random(), dice.random(), dice.random() < life.world.clears
    lasted = timedelta(minutes=2 if cleared else 45)
    later = at + timedelta(minutes=10)
    if level is Level.AUTO or (level is Level.APPROVE and right and told < 0.95):
        deed = _run(life.world, at, right, dice)
        wrong = said < 0.003
        feedback = _word(number, False, later) if wrong else None
        return Facts(incident=number, state=State.FIXED, deeds=(deed,), feedback=feedback)
    life.spells.append(Spell(labels={"alertname": life.world.alert}, began=at, lasted=lasted))
    if level is Level.APPROVE:
        return Facts(incident=number, state=State.DENIED, answer="denied", answered_at=later)
    word = _word(number, right, later) if told < 0.6 else None
    state = State.OBSERVED if level is Level.OBSERVE else State.DRY_RUN
    return Facts(incident=number, state=state, feedback=word)


def _run(world: World, at: datetime, right: bool, dice: random.Random) -> Deed:
    broken = world.broken[0] <= (at - START).days < world.broken[1]
    works = right and dice.random() < (0.33 if broken else world.works)
    return Deed(
        purpose=Purpose.REMEDIATION,
        outcome=Outcome.CHANGED,
        result=Result.FIXED if works else Result.NOT_FIXED,
        started=True,
        at=at + timedelta(minutes=5),
    )


def _word(number: int, right: bool, at: datetime) -> Feedback:
    return Feedback(incident=number, right=right, by="user:ann", reason="she looked", at=at)


def _measured(life: Life, now: datetime) -> Uplift:
    rules = CONFIG.autonomy.uplift
    recent = [spell for spell in life.spells if spell.began > now - rules.history]
    minute = timedelta(minutes=1)
    clearing = uplift.count(recent, minute, 5 * minute, source="simulation", at=now)
    ran = [each for each in life.ran if each.at > now - CONFIG.autonomy.window]
    fixed = sum(each.mark is Mark.FIXED for each in ran)
    return uplift.compare(fixed, len(ran), clearing, rules)


def table(lives: list[Life]) -> str:
    """The figures of docs/autonomy.md."""
    total = sum(life.incidents for life in lives)
    lines = [
        f"{total:,} incidents, {sum(len(life.ran) for life in lives):,} of them with a run; "
        f"{sum(life.above for life in lives)} verdicts above a ceiling.",
        "",
        "| entry | what is true of it | incidents | runs | bad | promoted | demoted "
        "| days at `auto` | benefit | its record at the end |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_row(life) for life in lives)])


def _row(life: Life) -> str:
    up = sum(step.level.rank > step.previous.rank for step in life.steps)
    bad = sum(each.mark is Mark.BAD for each in life.trials)
    helps = life.helps.helps if life.helps else Helps.UNKNOWN
    cells = (
        f"`{life.world.entry}`", life.world.story, life.incidents, len(life.ran), bad, up,
        len(life.steps) - up, round(at_auto(life)), helps, life.helps.text if life.helps else "",
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def at_auto(life: Life) -> float:
    """Days for which the record granted `auto`."""
    ends = [*(at for at, _ in life.levels[1:]), START + timedelta(days=DAYS)]
    spans = zip(life.levels, ends, strict=True)
    return sum((end - at) / timedelta(days=1) for (at, level), end in spans if level is Level.AUTO)


def page(text: str, lives: list[Life]) -> str:
    """docs/autonomy.md with the figures of these lives."""
    before, _, rest = text.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    return f"{before}{MARKS[0]}\n{table(lives)}\n{MARKS[1]}{after}"


def picture(lives: list[Life]) -> str:
    """docs/autonomy.svg."""
    return draw(
        [
            (
                f"{life.world.entry}: {life.world.story}",
                [((at - START) / timedelta(days=1), level.rank) for at, level in life.levels],
                [
                    (each.at - START) / timedelta(days=1)
                    for each in life.trials
                    if each.mark is Mark.BAD
                ],
            )
            for life in lives
        ],
        DAYS,
    )


def main(folder: Path) -> None:
    """Write the picture and the figures."""
    lives = simulate()
    (folder / "autonomy.svg").write_text(picture(lives), encoding="utf-8")
    path = folder / "autonomy.md"
    path.write_text(page(path.read_text(encoding="utf-8"), lives), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
