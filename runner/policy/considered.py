"""What was chosen by `consider`: never more than a question, and no dry run that may do something.

A label, or a text that steers a model, can have an entry proposed that rules would not choose. So
a person decides about the run, and about the dry run too where it is not known to only read.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from runner.incident import Level, Reason
from runner.policy.situation import Situation
from runner.text.duration import write

#: Dry runs of considered entries that start by themselves, on one host within this time.
MOST, WITHIN = 3, timedelta(hours=1)
_NAMED = 3  #: tasks that are named


def considered(situation: Situation) -> Iterator[Reason]:
    """Whatever else grants, a person approves what `match` does not name, and what was proposed:
    who proposed it has not seen its dry run yet."""
    if situation.proposed and situation.considered is None:
        text = f"A person proposed {situation.entry.id}, before its dry run showed anything."
        yield Reason(rule="considered", level=Level.APPROVE, text=text)
    if situation.considered is not None:
        text = f"{situation.entry.id} is only considered for this alert, not matched"
        why = f": {situation.considered}" if situation.considered else ""
        yield Reason(rule="considered", level=Level.APPROVE, text=f"{text}{why}.")


def first_look(situation: Situation) -> Iterator[Reason]:
    """Its dry run starts by itself only where nothing really runs, and only so often."""
    if situation.considered is None or situation.proposed:
        return
    if found := situation.really_done:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        text = (
            f"{situation.entry.id} is only considered, and its dry run may do something: "
            f"{'; '.join(found[:_NAMED])}{more}. A person must propose it."
        )
        yield Reason(rule="consent", level=Level.OBSERVE, text=text)
    for host, starts in sorted(situation.looks.items()):
        recent = sorted(start for start in starts if situation.now - start < WITHIN)
        if len(recent) >= MOST:
            text = (
                f"{len(recent)} dry runs of considered entries began on {host} within "
                f"{write(WITHIN)}; {MOST} may."
            )
            until = recent[-MOST] + WITHIN
            yield Reason(rule="dry_run_rate", level=Level.OBSERVE, text=text, until=until)
