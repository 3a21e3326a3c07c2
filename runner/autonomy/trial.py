"""One incident's word on its entry: fixed, agreed, disagreed, bad, or nothing at all."""

from __future__ import annotations

from datetime import datetime

from runner.autonomy.record import Deed, Facts, Mark, Trial
from runner.incident import Outcome, Purpose, Result


def of(facts: Facts, content: str | None = None) -> Trial | None:
    """What the incident says; None when it says nothing yet, or ever.

    A bad run is not talked away: a person's `right` does not make it good. With `content`, the
    hash of the entry's files, a fix by other files says nothing of it.
    """
    deeds = [deed for deed in facts.deeds if deed.started]
    said = facts.feedback
    if said is not None and not said.right:
        at = max([said.at, *(deed.at for deed in deeds)])
        return _trial(facts, at, Mark.BAD, f"{said.by} marked it wrong: {said.reason}")
    for deed in deeds:
        if why := bad(deed):
            return _trial(facts, deed.at, Mark.BAD, why)
    if deeds:
        # Fixed when every run is verified and one changed something: else it went by itself.
        verified = all(deed.result is Result.FIXED and deed.outcome is not None for deed in deeds)
        changed = any(deed.outcome is Outcome.CHANGED for deed in deeds)
        if not (verified and changed and content in (None, facts.content)):
            return None
        at = max(deed.at for deed in deeds)
        return _trial(facts, at, Mark.FIXED, "it ran and was verified")
    if facts.answer == "denied" and facts.answered_at is not None:
        return _trial(facts, facts.answered_at, Mark.DISAGREED, "a person denied it")
    if said is not None:
        return _trial(facts, said.at, Mark.AGREED, f"{said.by} marked it right: {said.reason}")
    if facts.answer == "approved" and facts.answered_at is not None:
        return _trial(facts, facts.answered_at, Mark.AGREED, "a person approved it")
    return None


def bad(deed: Deed) -> str | None:
    """Why a run is bad; None when it is not, or not known to be yet."""
    if deed.purpose is Purpose.UNDO:
        return "it had to be undone"
    if deed.outcome is not None and not deed.outcome.completed:
        return f"the run ended {deed.outcome}"
    if deed.result in (Result.NOT_FIXED, Result.UNKNOWN):
        return f"the run was verified as {deed.result}"
    return None


def _trial(facts: Facts, at: datetime, mark: Mark, why: str) -> Trial:
    return Trial(incident=facts.incident, at=at, mark=mark, why=why)
