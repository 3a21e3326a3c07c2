"""What the plan hash does not cover holds the level at the dry run (invariant 16)."""

from __future__ import annotations

from collections.abc import Iterable

from runner.incident import Level, Reason, Verdict


def judge_cover(verdict: Verdict, uncovered: Iterable[str]) -> Verdict:
    """`verdict` with a reason for each thing that may be loaded unseen; never a higher level."""
    added = tuple(
        Reason(
            rule="content",
            level=Level.DRY_RUN,
            text=f"The approval would not cover everything that runs: {sentence}.",
        )
        for sentence in uncovered
    )
    level = Level.lowest(verdict.level, *(reason.level for reason in added))
    return Verdict(level=level, reasons=(*verdict.reasons, *added))
