"""A model's word on a node: what is taken of it, what is kept, and what it can and cannot do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.config import Signal
from runner.decide.answer import Unusable
from runner.incident import Level
from runner.nodes.classify import Prediction, SignalTier
from runner.nodes.tier import Tier
from runner.predict import opinion
from runner.store import model_calls, nodes
from runner.store.nodes import Said
from tests.chat_server import chat_server
from tests.real.test_predict import START, World, made

RIGHT = {
    "reason": "The disk fills up.", "tier": "warning", "hours": 30, "cited": [1],
    "confidence": 0.9,
}  # fmt: skip


def said(**changes: Any) -> str:
    return json.dumps(RIGHT | changes)


def test_a_good_answer_is_an_opinion() -> None:
    found = opinion.read(said(), 2)
    assert (found.tier, found.confidence, found.cited) == (Tier.WARNING, 0.9, (1,))
    assert found.expected == timedelta(hours=30)
    assert found.said == "The model sees warning, 90% sure: The disk fills up."


def test_who_sees_nothing_has_no_time_either() -> None:
    assert opinion.read(said(tier="none"), 2).expected is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (said(tier="unknown"), "tier: "),
        (said(tier="doomed"), "tier: "),
        (said(hours=-1), "hours: "),
        (said().replace("30", "1e999"), "hours: "),
        (said(confidence=1.01), "confidence: "),
        (said(confidence="0.9"), "confidence: "),
        (said().replace("0.9", "NaN"), "NaN is no number in JSON"),
        (said(cited=[]), "cited: "),
        (said(cited=[3]), "it cites evidence that does not exist: 3"),
        (said(cited=[0]), "it cites evidence that does not exist: 0"),
        (said(run="retire_storage_node"), "run: "),
        (said(reason=""), "reason: "),
        ("[]", "it is not a JSON object"),
        ("", "it is empty"),
    ],
)  # fmt: skip
def test_what_is_not_what_was_asked_for_is_no_opinion(text: str, why: str) -> None:
    """Invariant 8."""
    with pytest.raises(Unusable, match=why):
        opinion.read(text, 2)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*RIGHT, "x"]), inner, max_size=6)
    ),
)
#: Mostly the right form, so that more than its form is tried.
CLOSE = st.fixed_dictionaries({name: ANYTHING | st.just(value) for name, value in RIGHT.items()})


@given(ANYTHING | CLOSE)
def test_whatever_it_says_it_is_an_opinion_or_refused(content: Any) -> None:
    try:
        found = opinion.read(json.dumps(content), 2)
    except Unusable:
        return
    assert found.tier in (Tier.NONE, Tier.WARNING, Tier.CRITICAL)
    assert 0 <= found.confidence <= 1 and set(found.cited) <= {1, 2}


def test_it_reads_the_numbers_and_what_was_said_before() -> None:
    signal = Signal(name="fill", promql="fill", warning=0.8, critical=0.92, unit="of 1")
    finding = SignalTier(
        signal="fill", tier=Tier.WARNING, reason="fill is past its warning bound.", level=0.85,
        expected=timedelta(hours=30),
    )  # fmt: skip
    one = Prediction(node="n2", tier=Tier.WARNING, reasons=(finding.reason,), findings=(finding,))
    before = Said(
        id=1, at=START, node="n2", by="rules", tier="none", expected=None, soonest=None,
        latest=None, reasons=("No signal is out of bounds.",), findings=(), outcome=None,
    )  # fmt: skip
    assert opinion.evidence(one, [signal], [before] * 9) == (
        "signal fill: now 0.85 of 1; warning 0.8, critical 0.92, worse up. "
        "fill is past its warning bound. Its trend reaches the critical bound in 1d6h.",
        *["2026-11-21 12:00 UTC, by rules: none. No signal is out of bounds."] * 5,
    )


@pytest.fixture
def world(tmp_path: Path, store_url: str, request: pytest.FixtureRequest) -> Iterator[World]:
    with chat_server(request.param) as url:
        model = {"name": "m", "base_url": url, "retries": 0}
        project = made(tmp_path, store_url, model=model)
        yield World(project)
        project.close()


def kept(world: World) -> list[tuple[str, str]]:
    with world.project.database.read() as tx:
        return [(each.by, each.tier) for each in nodes.history(tx, "n2")]


def warned(world: World) -> Any:
    """The one incident once n2 has been on the greylist for a while."""
    world.metrics.fill["n2"] = 0.85
    world.rounds(8)
    (incident,) = world.admit()
    assert world.members() == ["n2 warning"]
    return incident


@pytest.mark.store
@pytest.mark.parametrize("world", [RIGHT], indirect=True)
def test_where_both_agree_both_are_kept_and_nothing_is_held_back(world: World) -> None:
    incident = warned(world)
    assert incident.ceiling is Level.AUTO and "doubt" not in incident.alert.annotations
    assert kept(world) == [("model", "warning"), ("rules", "warning")]
    with world.project.database.read() as tx:
        calls = model_calls.since(tx, START - timedelta(days=400))
        assert nodes.counted(tx) == {}
    assert len(calls) == 1, "asked once for what is kept once, not at every round"


@pytest.mark.store
@pytest.mark.parametrize(
    ("world", "doubt"),
    [
        (RIGHT | {"tier": "none"}, "The model sees none, 90% sure: The disk fills up."),
        (RIGHT | {"tier": "critical"}, "The model sees critical, 90% sure: The disk fills up."),
        (RIGHT | {"confidence": 0.4}, "The model sees warning, 40% sure: The disk fills up."),
        (RIGHT | {"cited": [77]}, "The model gave no answer: invalid (it cites evidence"),
    ],
    indirect=["world"],
)
def test_a_model_that_doubts_has_a_person_asked_and_changes_nothing_else(
    world: World, doubt: str
) -> None:
    """Invariant 8: the tier, the greylist and the alert are the rules'."""
    incident = warned(world)
    assert incident.ceiling is Level.APPROVE
    assert incident.alert.annotations["doubt"].startswith(doubt)
    assert incident.alert.labels["tier"] == "warning"
    assert [by for by, _ in kept(world)] == ["model", "rules"]


@pytest.mark.store
def test_a_model_that_cannot_be_reached_changes_nothing(tmp_path: Path, store_url: str) -> None:
    model = {"name": "m", "base_url": "http://127.0.0.1:9/v1", "retries": 0}
    project = made(tmp_path, store_url, model=model)
    world = World(project)
    incident = warned(world)
    assert incident.ceiling is Level.AUTO
    assert kept(world) == [("rules", "warning")]
    project.close()


@pytest.mark.store
@pytest.mark.parametrize("world", [RIGHT], indirect=True)
def test_healthy_nodes_cost_nothing(world: World) -> None:
    world.rounds(30)
    with world.project.database.read() as tx:
        assert model_calls.since(tx, START - timedelta(days=400)) == ()
