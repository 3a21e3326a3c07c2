"""Whether an answer counts: in time, once, for this plan, by somebody who may. Pure."""

from __future__ import annotations

import hmac
from datetime import datetime

from runner.config import Approval as Settings
from runner.errors import Refused
from runner.incident import Approval


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
    if question.answer is not None:
        raise Refused(f"{what} was {question.answer} by {question.answered_by}")
    if now >= question.expires_at:
        raise Refused(f"{what} expired at {question.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    for hash_ in (plan, current_plan):
        if hash_ is not None and not hmac.compare_digest(hash_, question.plan):
            raise Refused(f"{what} is about another plan; see `runner approval show {question.id}`")
    if settings.approvers and by.removeprefix("user:") not in settings.approvers:
        raise Refused(f"{what}: {by} is not among approval.approvers")


def check_four_eyes(question: Approval, *, by: str, settings: Settings) -> None:
    """Raise Refused when somebody approves what they asked for."""
    if settings.four_eyes and by == question.requested_by:
        raise Refused(f"approval {question.id}: {by} asked for it, so another person must approve")
