"""What the dry run adds to the verdict: it can only lower it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from runner.catalog.entry import Entry
from runner.config import Policy
from runner.incident import Fidelity, Level, Outcome, Reason, Shown, Verdict

#: Tasks that are named in a reason.
MOST_NAMED = 3


def judge_dry_run(
    verdict: Verdict,
    fidelity: Fidelity | None,
    outcome: Outcome | None,
    policy: Policy,
    entry: Entry,
    *,
    said: str = "",
    strangers: Iterable[str] = (),
    differs: Iterable[str] = (),
) -> Verdict:
    """`verdict` with what the dry run showed; never a higher level.

    `outcome` is None when no dry run ran, which only `dry_run: none` excuses; `said` is its
    reason, as `a task failed on web1: Restart: Could not find the service`. `strangers`
    are hosts that the dry run was seen to touch outside of the plan, `differs` what may be
    another thing in a dry run, a sentence each.
    """
    added = []
    if names := sorted(set(strangers)):
        text = f"The dry run touched {', '.join(names)}, which the plan does not name."
        added.append(Reason(rule="radius", level=Level.DRY_RUN, text=text))
    for sentence in differs:
        text = f"The run may differ from its dry run: {sentence}."
        added.append(Reason(rule="fidelity", level=Level.APPROVE, text=text))
    added += _reasons(fidelity, outcome, policy, entry, said)
    level = Level.lowest(verdict.level, *(reason.level for reason in added))
    return Verdict(level=level, reasons=(*verdict.reasons, *added))


def _reasons(
    fidelity: Fidelity | None, outcome: Outcome | None, policy: Policy, entry: Entry, said: str
) -> Iterator[Reason]:
    if outcome is None:
        if entry.dry_run.required:
            text = f"Entry {entry.id} requires a dry run, which has not run."
            yield Reason(rule="dry_run", level=Level.DRY_RUN, text=text)
        return
    if not outcome.completed:
        why = f": {said.rstrip('. ')}" if said else ""
        text = f"The dry run ended {outcome}, so the run does not start{why}."
        yield Reason(rule="dry_run", level=Level.DRY_RUN, text=text)
    known = fidelity or Fidelity()
    share, shown = known.share, known.percent
    if fidelity is None:
        share, shown = 0.0, "0%"
    if share is not None and not share >= policy.min_fidelity:
        # What was not shown, by kind: ` (2 skipped, 1 fed by skipped)`.
        hidden = ", ".join(
            f"{n} {kind.replace('_', ' ')}"
            for kind, n in known.counts.items()
            if kind.counts and not kind.visible
        )
        text = (
            f"The dry run showed {shown} of the changes{f' ({hidden})' if hidden else ''}; "
            f"policy.min_fidelity is {policy.min_fidelity:.0%}."
        )
        yield Reason(rule="fidelity", level=Level.APPROVE, text=text)
    if already := [t.task for t in known.changes if t.kind is Shown.CHANGED_ALREADY]:
        text = (
            f"The dry run itself changed something, by {', '.join(already[:MOST_NAMED])}: "
            "check_mode: false is for tasks that only read."
        )
        yield Reason(rule="fidelity", level=Level.APPROVE, text=text)
