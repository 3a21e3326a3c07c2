"""The model's answer: what may be said, and that nothing else counts, whoever says it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.decide import answer
from runner.decide.answer import Answer, Unusable
from runner.incident import Decision
from tests import model_question

GOOD: dict[str, Any] = {
    "reason": "The unit is dead.", "entry": "restart",
    "values": {"restart_tries": 2, "restart_mode": None},
    "hosts": [2, 1], "cited": [2, 1, 2], "confidence": 0.8,
    "alternatives": [{"entry": "clean", "why_not": "the disk is fine"}], "probe": None,
}  # fmt: skip


def read(more: bool = True, **changes: Any) -> Answer:
    return answer.read(json.dumps(GOOD | changes), model_question.question(), more=more)


def test_a_good_answer_is_a_decision() -> None:
    assert read().decision == Decision(
        decider="model", entry="restart", reason="The unit is dead.",
        values={"restart_tries": 2}, cited=(1, 2), confidence=0.8,
        alternatives=(("clean", "the disk is fine"),), hosts=("web1", "web2"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"entry": "wipe_disk"}, "entry: Input should be 'restart', 'clean'"),
        ({"entry": "look"}, "entry:"),
        ({"entry": ["restart"]}, "entry:"),
        ({"entry": "need_evidence"}, "must name one of the probes"),
        ({"entry": "need_evidence", "probe": "restart"}, "probe"),
        ({"hosts": []}, "give the number of each host"),
        ({"hosts": [3]}, "hosts.0: Input should be less than or equal to 2"),
        ({"hosts": [0]}, "hosts.0:"),
        ({"hosts": ["web1"]}, "hosts.0: Input should be a valid integer"),
        ({"hosts": ["all"]}, "hosts.0:"),
        ({"hosts": [True]}, "hosts.0:"),
        ({"values": {"restart_tries": "many"}}, "restart_tries must be a whole number"),
        ({"values": {"restart_mode": "brutal"}}, "must be one of soft, hard"),
        ({"values": {"restart_unit": "sshd"}}, "comes from label service and cannot be chosen"),
        ({"values": {"ansible_become": True}}, "has no parameter 'ansible_become'"),
        ({"values": {"restart_mode": "a\u0000b"}}, "holds a control character"),
        ({"confidence": 1.1}, "confidence: Input should be less than or equal to 1"),
        ({"confidence": -1}, "confidence:"),
        ({"confidence": "0.9"}, "confidence: Input should be a valid number"),
        ({"confidence": True}, "confidence:"),
        ({"cited": [-1]}, "cited.0:"),
        ({"level": "auto"}, "level: Extra inputs are not permitted"),
        ({"approved": True}, "approved: Extra inputs are not permitted"),
    ],
)
def test_what_may_not_be_said_is_refused(changes: dict[str, Any], why: str) -> None:
    """Invariant 7: the answer is an entry, values, evidence and host numbers, all checked."""
    with pytest.raises(Unusable) as refused:
        read(**changes)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", '"restart"', "restart", "{", "{}", "{'entry': 'restart'}",
        json.dumps(GOOD) + json.dumps(GOOD), "Sure! " + json.dumps(GOOD),
        json.dumps(GOOD)[:-1] + ', "entry": "clean"}', "[" * 100_000,
        json.dumps(GOOD | {"confidence": float("nan")}), '{"confidence": 1e999}',
        json.dumps(GOOD | {"confidence": float("inf")}), json.dumps(GOOD) + " " * 70_000,
        "```json\n{}\n```\n```json\n{}\n```", '{"a": ' * 900 + "1" + "}" * 900,
    ],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_what_is_not_one_object_is_refused(text: str) -> None:
    with pytest.raises(Unusable):
        answer.read(text, model_question.question(), more=True)


def test_one_fence_around_it_is_taken_off() -> None:
    text = f"\n```json\n{json.dumps(GOOD)}\n```\n"
    assert answer.read(text, model_question.question(), more=True) == read()


def test_none_of_these_has_no_hosts_and_no_values() -> None:
    decision = read(entry="none_of_these", values={"nonsense": 1}).decision
    assert decision is not None
    assert (decision.entry, decision.hosts, decision.values) == (None, (), {})


def test_evidence_may_be_asked_for_once() -> None:
    assert read(entry="need_evidence", probe="look") == Answer(decision=None, probe="look")
    without = {name: value for name, value in GOOD.items() if name != "probe"}
    with pytest.raises(Unusable, match="entry:"):
        text = json.dumps(without | {"entry": "need_evidence"})
        answer.read(text, model_question.question(), more=False)


def test_evidence_that_does_not_exist_is_left_to_policy() -> None:
    decision = read(cited=[999]).decision
    assert decision is not None and decision.cited == (999,)


def test_what_the_reason_holds_cannot_act() -> None:
    decision = read(reason="\x1b[2J" + "x" * 5000 + "\ud800").decision
    assert decision is not None
    assert len(decision.reason) <= 610 and decision.reason.isprintable()


def test_alternatives_name_eligible_entries_only() -> None:
    other = [{"entry": "rm_rf", "why_not": "x"}, {"entry": "restart", "why_not": "x"}]
    decision = read(alternatives=other).decision
    assert decision is not None and decision.alternatives == ()


def test_the_schema_allows_only_what_may_be_said() -> None:
    made = answer.schema(model_question.question(), more=True)
    properties = made["properties"]
    assert properties["entry"]["enum"] == ["restart", "clean", "none_of_these", "need_evidence"]
    assert properties["hosts"]["items"]["maximum"] == 2
    assert set(properties["values"]["properties"]) == {"restart_tries", "restart_mode"}
    assert sorted(made["required"]) == sorted(properties)
    assert "$ref" not in json.dumps(made) and not answer.free_form(made)
    assert "probe" not in answer.schema(model_question.question(), more=False)["properties"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "level"]), JSON, max_size=4))
def test_whatever_it_says_the_decision_stays_inside_the_question(changes: dict[str, Any]) -> None:
    """Invariant 7: it is an eligible entry on located hosts, or it is refused."""
    try:
        decision = read(**changes).decision
    except Unusable:
        return
    if decision is not None:
        assert decision.entry in (None, "restart", "clean")
        assert set(decision.hosts) <= {"web1", "web2"}
        assert set(decision.values) <= {"restart_tries", "restart_mode"}
        assert 0 <= decision.confidence <= 1


@given(st.text() | st.binary().map(lambda raw: raw.decode(errors="replace")))
def test_any_text_is_an_answer_or_unusable(text: str) -> None:
    with pytest.raises(Unusable):
        answer.read(text, model_question.question(), more=True)
