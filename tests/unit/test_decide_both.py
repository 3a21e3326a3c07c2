"""Rules and model side by side: who counts, and what policy gets to see."""

from __future__ import annotations

from typing import Any

import pytest

from runner.decide.both import settle
from runner.decide.model import Opinion
from runner.incident import Decision
from runner.incident.model_call import Failure
from tests import model_question


def said(entry: str | None, decider: str = "model", **changes: Any) -> Decision:
    return Decision(decider=decider, entry=entry, reason=f"{decider} says so.", **changes)


def opinion(decision: Decision | None, failure: Failure | None = None) -> Opinion:
    reason = f"the model gave no answer: {failure} (x)" if failure else ""
    return Opinion(
        decision=decision, failure=failure, reason=reason, question=model_question.question()
    )


def settled(rules: str | None, model: Opinion, deciders: Any = "both", wish: Any = "rules") -> Any:
    return settle(said(rules, "rules"), model, deciders=deciders, on_failure=wish)


@pytest.mark.parametrize(
    ("rules", "model", "entry", "decider"),
    [
        ("a", "a", "a", "rules"), ("a", "b", "a", "rules"), ("a", None, "a", "rules"),
        (None, "b", "b", "model"), (None, None, None, "rules"),
    ],
)  # fmt: skip
def test_both_answers_are_kept_and_the_rules_come_first(
    rules: str | None, model: str | None, entry: str | None, decider: str
) -> None:
    """Invariant 8: no text can make another entry run than the rules would."""
    found = settled(rules, opinion(said(model)))
    assert (found.decision.entry, found.decision.decider) == (entry, decider)
    assert [each.entry for each in found.kept] == [rules, model]


def test_where_they_agree_the_values_are_the_models() -> None:
    found = settled("a", opinion(said("a", values={"x": 1})))
    assert found.decision.values == {"x": 1}
    assert settled("a", opinion(said("b", values={"x": 1}))).decision.values == {}


@pytest.mark.parametrize("deciders", ["both", "model"])
@pytest.mark.parametrize("failure", list(Failure))
def test_without_an_answer_the_rules_count(deciders: str, failure: Failure) -> None:
    found = settled("a", opinion(None, failure), deciders)
    assert found.decision.entry == "a" and str(failure) in found.decision.reason
    doubted = [each.decider for each in found.kept] == ["rules", "model"]
    assert doubted == failure.of_content


def test_without_an_answer_a_person_may_be_wished() -> None:
    found = settled("a", opinion(None, Failure.TIMEOUT), "model", "escalate")
    assert found.decision.entry is None and "timeout" in found.decision.reason


def test_alone_the_model_counts_alone() -> None:
    found = settled("a", opinion(said(None)), "model")
    assert found.decision.entry is None and found.kept == (found.decision,)
