"""Whether an answer counts: in time, once, for this plan, by somebody who may. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from datetime import datetime

from runner.config import Approval as Settings
from runner.errors import Refused
from runner.incident import CLOSED, Approval


def check(
    question: Approval,
    *,
    by: str,
    plan: str | None,
    current_plan: str | None,
    settings: Settings,
    now: datetime,
) -> None:
    """Raise Refused, with a sentence, unless `by` may answer this question now.

    `plan` is the hash that the person saw, when they name it; `current_plan` is that of the
    incident. A denial is checked like an approval, except that one may deny one's own.
    """
    what = f"approval {question.id}"
    if question.answer == CLOSED:
        raise Refused(f"{what} is closed, nothing is left to answer: {question.comment}")
    if question.answer is not None:
        raise Refused(f"{what} was {question.answer} by {question.answered_by}")
    if now >= question.expires_at:
        raise Refused(f"{what} expired at {question.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    for hash_ in (plan, current_plan):
        if hash_ is not None and not hmac.compare_digest(hash_, question.plan):
            raise Refused(f"{what} is about another plan; see `runner approval show {question.id}`")
    _check_name(question, by, settings)


def left_out(question: Approval, by: str, settings: Settings) -> str | None:
    """The list that names people, but not this one; None when `by` may answer.

    Every list that names somebody must have them: the entry's narrows, it never widens.
    """
    named = question.brief.approvers if question.brief else ()
    lists = {"approval.approvers": settings.approvers, "the entry's approvers": named}
    name = by.removeprefix("user:")
    return next((place for place, names in lists.items() if names and name not in names), None)


def _check_name(question: Approval, by: str, settings: Settings) -> None:
    if place := left_out(question, by, settings):
        raise Refused(f"approval {question.id}: {by} is not among {place}")


def require_given(questions: Iterable[Approval], *, plan: str, settings: Settings) -> None:
    """Raise Refused unless somebody who may has approved this very plan in time.

    Read from the stored answer, whatever the state of the incident says.
    """
    about = [question for question in questions if hmac.compare_digest(question.plan, plan)]
    for question in sorted(about, key=lambda question: question.asked)[-1:]:
        if question.answer == "approved":
            by, at = question.answered_by or "", question.answered_at
            if at is None or at >= question.expires_at:
                raise Refused(f"approval {question.id} was answered after it had expired")
            _check_name(question, by, settings)
            check_four_eyes(question, by=by, settings=settings)
            return
    raise Refused("nobody has approved this plan, so nothing ran")


def check_four_eyes(question: Approval, *, by: str, settings: Settings) -> None:
    """Raise Refused when somebody approves what they asked for."""
    if settings.four_eyes and by in question.requested_by.split(", "):
        raise Refused(f"approval {question.id}: {by} asked for it, so another person must approve")
