"""The order of calls, against a real HTTP server that behaves badly in every way we know."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from runner.decide.ledger import Memory
from runner.decide.model import estimated, kept
from runner.decide.prompt import Prompts
from runner.decide.provider import Reply
from runner.incident.model_call import Failure, Round
from runner_demo.model_server import ModelServer
from tests import model_question


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
@pytest.mark.parametrize(
    ("behaviour", "entry"),
    [("right", "restart"), ("wrong", "clean"), ("none", None), ("fenced", "restart")],
)
def test_a_good_answer_is_a_decision(method: str, behaviour: str, entry: str | None) -> None:
    memory = Memory()
    with ModelServer(behaviour) as server:
        opinion = model_question.decider(server.url, memory, method=method).decide(
            model_question.question()
        )
    assert opinion.decision is not None and opinion.failure is None
    assert opinion.decision.entry == entry
    assert opinion.decision.cited == (1, 2)
    assert opinion.decision.hosts == (("web1", "web2") if entry else ())
    (call,) = memory.calls
    assert (call.round, call.version, call.requests) == (Round.FIRST, "scripted-1", 1)
    assert call.input_tokens > 100 and call.answer.strip("`json\n").startswith("{")


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize(
    ("behaviour", "failure", "requests"),
    [
        ("malformed", Failure.INVALID, 2),
        ("nan", Failure.INVALID, 2),
        ("duplicate_keys", Failure.INVALID, 2),
        ("two_answers", Failure.INVALID, 2),
        ("markdown", Failure.INVALID, 2),
        ("truncated", Failure.TRUNCATED, 1),
        ("refuses", Failure.REFUSED, 1),
        ("enormous", Failure.TOO_LARGE, 1),
        ("hangs", Failure.TIMEOUT, 1),
        ("429", Failure.RATE_LIMITED, 2),
        ("429_for_long", Failure.RATE_LIMITED, 1),
        ("500", Failure.SERVER_ERROR, 2),
        ("401", Failure.DENIED, 1),
        ("400", Failure.REJECTED, 1),
    ],
)
def test_every_failure_has_its_name_and_at_most_two_requests(
    method: str, behaviour: str, failure: Failure, requests: int
) -> None:
    """Invariant 14: whatever the provider does, the question ends."""
    memory = Memory()
    with ModelServer(behaviour) as server:
        opinion = model_question.decider(server.url, memory, method=method).decide(
            model_question.question()
        )
        assert len(server.requests) == requests
    assert opinion.decision is None
    assert opinion.failure is failure
    assert opinion.reason.startswith(f"the model gave no answer: {failure} (")
    assert memory.calls[-1].failure is failure
    assert memory.calls[-1].detail


def test_nobody_at_the_address_is_a_failure_too() -> None:
    opinion = model_question.decider("http://127.0.0.1:9/v1").decide(model_question.question())
    assert opinion.failure is Failure.UNREACHABLE


def test_one_repair_is_asked_for_with_what_was_wrong() -> None:
    memory = Memory()
    with ModelServer(["markdown", "right"]) as server:
        opinion = model_question.decider(server.url, memory).decide(model_question.question())
        repair = server.requests[1]["messages"]
    assert opinion.decision is not None and opinion.decision.entry == "restart"
    assert [call.round for call in memory.calls] == [Round.FIRST, Round.REPAIR]
    assert [message["role"] for message in repair] == ["system", "user", "assistant", "user"]
    assert "it is not one JSON object" in repair[3]["content"]


def test_evidence_is_asked_for_once_and_then_it_must_decide() -> None:
    memory = Memory()
    with ModelServer("needs_evidence") as server:
        opinion = model_question.decider(server.url, memory).decide(
            model_question.question(), probe=model_question.read
        )
        first, second = (request["messages"][1]["content"] for request in server.requests)
    assert opinion.decision is not None and opinion.decision.entry == "restart"
    assert [call.round for call in memory.calls] == [Round.FIRST, Round.EVIDENCE]
    assert "the unit is dead" not in first and "the unit is dead" in second
    assert "Probes" in first and "Probes" not in second
    assert opinion.question.numbers == {1, 2, 3}


def test_nobody_is_offered_a_probe_that_cannot_be_run() -> None:
    with ModelServer("needs_evidence") as server:
        opinion = model_question.decider(server.url).decide(model_question.question())
        assert "need_evidence" not in str(server.requests)
    assert opinion.decision is not None and opinion.decision.entry == "restart"


@pytest.mark.parametrize("behaviour", ["429_for_long", "500", "refuses", "hangs", "401"])
def test_the_second_model_is_asked_where_the_first_fails(behaviour: str) -> None:
    memory = Memory()
    with ModelServer(behaviour) as first, ModelServer("right") as second:
        fallback = {"name": "other", "base_url": second.url}
        decider = model_question.decider(first.url, memory, fallback=fallback, retries=0)
        opinion = decider.decide(model_question.question())
    assert opinion.decision is not None
    assert [(call.model, call.round) for call in memory.calls] == [
        ("scripted", Round.FIRST), ("other", Round.FALLBACK),
    ]  # fmt: skip


def test_the_same_question_is_answered_once() -> None:
    memory = Memory()
    with ModelServer("right") as server:
        decider = model_question.decider(server.url, memory)
        first = decider.decide(model_question.question(), incident=1)
        again = decider.decide(model_question.question(), incident=2)
        other = model_question.question(evidence=(model_question.evidence(1, "up: 1"),))
        decider.decide(other, incident=3)
        assert len(server.requests) == 2
    assert again.reused and not first.reused
    assert again.decision == first.decision
    assert (memory.calls[1].round, memory.calls[1].reused) == (Round.REUSED, 1)
    assert (memory.calls[1].requests, memory.calls[1].money) == (0, 0)


def test_an_old_answer_is_not_used_again() -> None:
    memory = Memory()
    with ModelServer("right") as server:
        decider = model_question.decider(server.url, memory, reuse="10m")
        decider.decide(model_question.question())
        began = memory.calls[0].at
        decider.now = lambda: began + timedelta(minutes=11)
        assert not decider.decide(model_question.question()).reused
        assert len(server.requests) == 2


def test_an_answer_that_no_longer_fits_is_not_used_again() -> None:
    memory = Memory()
    with ModelServer("right") as server:
        decider = model_question.decider(server.url, memory)
        decider.decide(model_question.question())
        decider.decide(model_question.question(choices=model_question.question().choices[1:]))
        assert len(server.requests) == 2


def test_with_one_call_there_is_no_repair_and_no_evidence() -> None:
    memory = Memory()
    with ModelServer("markdown") as server:
        decider = model_question.decider(server.url, memory, budget={"calls_per_incident": 1})
        opinion = decider.decide(model_question.question(), incident=1, probe=model_question.read)
        assert "need_evidence" not in str(server.requests)
    assert opinion.failure is Failure.INVALID
    assert [call.requests for call in memory.calls] == [1, 0]


def test_a_key_that_cannot_be_read_is_a_failure_and_costs_no_call(tmp_path: Path) -> None:
    memory = Memory()
    with ModelServer("right") as server:
        decider = model_question.decider(server.url, memory, api_key_file=tmp_path / "none")
        opinion = decider.decide(model_question.question())
        assert server.requests == []
    assert opinion.failure is Failure.UNAVAILABLE
    assert "the secret file cannot be read" in opinion.reason
    assert memory.calls[0].requests == 0


def test_a_prompt_that_cannot_be_rendered_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "decide_system.md.j2").write_text("{{ labels }}")
    decider = model_question.decider("http://127.0.0.1:9")
    decider.prompts = Prompts(tmp_path, lambda text: text)
    assert decider.decide(model_question.question()).failure is Failure.UNAVAILABLE


def test_money_is_counted_by_tokens_and_estimated_without() -> None:
    memory = Memory()
    with ModelServer("right") as server:
        prices = {"input": 1_000_000, "output": 2_000_000}
        decider = model_question.decider(server.url, memory, prices=prices)
        decider.decide(model_question.question())
    (call,) = memory.calls
    assert call.money == call.input_tokens + 2 * call.output_tokens
    silent = kept(decider, decider.settings, call, Reply(text="x" * 30), requests=1)
    assert silent.money == estimated(call.prompt) + 2 * 10
