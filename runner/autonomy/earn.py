"""Earned levels: a record is replayed, trial by trial, from the level that it starts at.

Two things move the level. Enough that went well since the last bad run, with a lower
confidence bound that is high enough, promotes it. One bad run demotes it by one level, at
once. What is older than the window is forgotten: a record that nothing is added to goes
back to the start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from runner.autonomy.bounds import lower
from runner.autonomy.record import Change, Earned, Helps, Key, Mark, Setting, Trial, Uplift
from runner.config import Autonomy, Rung
from runner.incident import Level
from runner.text.duration import write

_LEVELS = tuple(Level)


@dataclass
class _Replay:
    """Where the replay of one record stands."""

    rules: Autonomy
    level: Level
    cap: Level  #: a person holds it there: nothing is promoted above
    floor: Level  #: only bad runs lead below it
    seen: Counter[Mark] = field(default_factory=Counter)  #: in the window
    since: Counter[Mark] = field(default_factory=Counter)  #: since the last bad run or setting
    changes: list[Change] = field(default_factory=list)

    def learn(self, trial: Trial) -> None:
        self.seen[trial.mark] += 1
        if trial.mark is Mark.BAD:
            self.since.clear()
            self._move(below(self.level), trial, f"incident {trial.incident}: {trial.why}")
            return
        self.since[trial.mark] += 1
        while (rung := self._next()) is not None:
            good, bound = self._good(self.since), self._bound()
            if good < rung.count or bound < rung.bound:
                break
            self._move(
                above(self.level),
                trial,
                f"{good} good since the last bad one (needs {rung.count}), lower bound "
                f"{bound:.0%} (needs {rung.bound:.0%})",
            )

    def obey(self, setting: Setting) -> None:
        self.since.clear()
        self.cap = _cap(setting)
        why = f"{setting.by} set it: {setting.reason}"
        if setting.level is not self.level:
            self.changes.append(
                Change(at=setting.at, previous=self.level, level=setting.level, why=why)
            )
        self.level = setting.level
        self.floor = Level.lowest(self.rules.start, setting.level)

    def _next(self) -> Rung | None:
        return self.rules.rung(above(self.level)) if self.level.rank < self.cap.rank else None

    def _good(self, marks: Counter[Mark]) -> int:
        """What counts for the next level: only verified runs earn `auto`."""
        agreed = 0 if above(self.level) is Level.AUTO else marks[Mark.AGREED]
        return marks[Mark.FIXED] + agreed

    def _bound(self) -> float:
        good = self._good(self.seen)
        total = good + self.seen[Mark.BAD] + self.seen[Mark.DISAGREED]
        return lower(good, total, self.rules.confidence)

    def _move(self, to: Level, trial: Trial, why: str) -> None:
        if to is not self.level:
            change = Change(
                at=trial.at, previous=self.level, level=to, why=why, incident=trial.incident
            )
            self.changes.append(change)
            self.level = to

    def missing(self) -> str:
        """What the next level still needs, as the end of a sentence."""
        rung = self._next()
        if rung is None:
            held = self.cap is not Level.AUTO
            return f"held at {self.cap} by a person" if held else "this is the highest level"
        kind = "verified runs" if above(self.level) is Level.AUTO else "verified or confirmed"
        return (
            f"{above(self.level)} needs {rung.count} {kind} since the last bad one "
            f"(has {self._good(self.since)}) and a lower bound of {rung.bound:.0%} "
            f"(has {self._bound():.0%})"
        )


def earned(
    key: Key,
    trials: Iterable[Trial],
    settings: Iterable[Setting],
    rules: Autonomy,
    now: datetime,
    uplift: Uplift | None = None,
) -> Earned:
    """What the record of `key` has earned at `now`, with its reason and its changes."""
    begin = now - rules.window
    given = sorted(settings, key=lambda setting: setting.at)
    base, cap = rules.start, Level.AUTO
    # A level that a person lowered is not forgotten with time; one that they raised is.
    if before := [setting for setting in given if setting.at <= begin]:
        base, cap = Level.lowest(base, before[-1].level), _cap(before[-1])
    replay = _Replay(rules, base, cap, base)
    recent = sorted(
        (trial for trial in trials if trial.at > begin), key=lambda t: (t.at, t.incident)
    )
    # Both by time; at the same moment the person has the last word.
    events: list[Trial | Setting] = [*recent, *(each for each in given if each.at > begin)]
    for event in sorted(events, key=lambda event: event.at):
        replay.learn(event) if isinstance(event, Trial) else replay.obey(event)
    return _standing(key, replay, rules, uplift)


def _cap(setting: Setting) -> Level:
    return setting.level if setting.hold else Level.AUTO


def _standing(key: Key, replay: _Replay, rules: Autonomy, uplift: Uplift | None) -> Earned:
    level, seen, missing = replay.level, replay.seen, replay.missing()
    text = (
        f"{key} is at {level}; in {write(rules.window)}: {seen[Mark.FIXED]} fixed, "
        f"{seen[Mark.AGREED]} confirmed by people, {seen[Mark.DISAGREED]} denied, "
        f"{seen[Mark.BAD]} bad. {missing[:1].upper()}{missing[1:]}."
    )
    useless = uplift is not None and uplift.helps is Helps.NO and rules.uplift.required
    if uplift is not None and useless and rules.uplift.level.rank < level.rank:
        level = rules.uplift.level
        text = f"{key} is no better than waiting, so it stays at {level}: {uplift.text}."
    return Earned(
        key=key,
        level=level,
        text=text,
        fixed=seen[Mark.FIXED],
        agreed=seen[Mark.AGREED],
        disagreed=seen[Mark.DISAGREED],
        bad=seen[Mark.BAD],
        held=replay.cap is not Level.AUTO,
        demoted=replay.level.rank < replay.floor.rank,
        changes=tuple(replay.changes),
    )


def above(level: Level) -> Level:
    """The next higher level; `auto` has none."""
    return _LEVELS[min(level.rank + 1, len(_LEVELS) - 1)]


def below(level: Level) -> Level:
    """The next lower level; `observe` has none."""
    return _LEVELS[max(level.rank - 1, 0)]
