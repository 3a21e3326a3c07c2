"""The model chooses: one bounded, structured question, at most one more, and never an exception.

    decider = ModelDecider(settings, Prompts(None, mask), Memory(), mask=mask)
    opinion = decider.decide(Question(labels=…, choices=…, evidence=…, hosts=…))

`settings` is the section `model` of the configuration, `mask` takes secrets out of text, and
`Memory` keeps the calls, as a list of ModelCall in `calls`, where no store does. An `Opinion` has
a decision, or the failure that explains why there is none. Nothing else is needed offline.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import re2

from runner.config import Endpoint, Model
from runner.decide import answer, provider
from runner.decide.answer import Answer, Unusable
from runner.decide.injection import Detectors, Suspicion
from runner.decide.ledger import Ledger
from runner.decide.personal import require_libraries
from runner.decide.prompt import PLACEHOLDER, Masks, Prompts, Question, fence
from runner.decide.provider import Message, Reply
from runner.errors import ConfigError
from runner.incident import Decision, Evidence
from runner.incident.model_call import Failure, ModelCall, Round
from runner.text import brief, cut, storable, visible

T = TypeVar("T")

_KEPT = 16 * 1024  #: characters of an answer that are kept
_ECHO = 4000  #: characters of an unusable answer that are sent back with the repair
_WAIT = 1.0  #: seconds before the first repetition of a request
_LONGEST_WAIT = 10.0

#: Brings what a probe read: from the probe's id to evidence, numbered after what there is.
Probe = Callable[[str], Sequence[Evidence]]


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What the model said, or why it said nothing."""

    decision: Decision | None
    failure: Failure | None = None  #: set when there is no decision
    reason: str = ""  #: the failure as a sentence
    question: Question  #: with what a probe brought
    suspicions: tuple[Suspicion, ...] = ()
    reused: bool = False


class ModelDecider:
    """One per process: its slots bound how many requests are under way.

    Raises ConfigError when what may not be sent could not be hidden here. `request` replaces
    how a request is made (see `provider.request`), `sleep` how it is waited.
    """

    def __init__(
        self,
        settings: Model,
        prompts: Prompts,
        ledger: Ledger,
        *,
        mask: Masks,
        request: provider.Request = provider.request,
        sleep: Callable[[float], Any] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        require_libraries(settings)
        self.settings = settings
        self.prompts = prompts
        self.ledger = ledger
        self.mask = mask
        self.detectors = Detectors(settings.injection)
        self.slots = threading.BoundedSemaphore(settings.concurrency)
        self.request = request
        self.sleep = sleep
        self.now = now

    def decide(
        self, question: Question, *, incident: int | None = None, probe: Probe | None = None
    ) -> Opinion:
        """The model's opinion. Raises StoreError when the ledger's store is away, nothing else."""
        opinion = _Asking(self, question, incident, probe).run()
        found = opinion.question
        suspicions = self.detectors.suspicions(
            found.labels, found.annotations, found.evidence, found.hosts
        )
        return replace(opinion, suspicions=suspicions)


class _NoAnswer(Exception):
    """No usable answer, why, and what was said instead of one."""

    def __init__(self, failure: Failure, detail: str, said: str = "") -> None:
        super().__init__(detail)
        self.failure, self.detail, self.said = failure, detail, said


class _Asking:
    """One incident's question: the order of calls, within one deadline."""

    def __init__(
        self, decider: ModelDecider, question: Question, incident: int | None, probe: Probe | None
    ) -> None:
        self.decider = decider
        self.settings = decider.settings
        more = probe is not None and self.settings.budget.calls_per_incident > 1
        self.question = question if more else replace(question, probes=())
        self.incident = incident
        self.probe = probe
        self.until = time.monotonic() + self.settings.deadline.total_seconds()
        self.hash = ""

    def run(self) -> Opinion:
        """An earlier answer to the same question, or the model's, or why there is none."""
        try:
            schema = answer.schema(self.question, more=bool(self.question.probes))
            self.hash = question_hash(self.question, self.decider.prompts, schema, self.settings)
            return self._reused() or self._asked()
        except _NoAnswer as given:
            failure, why = given.failure, given.detail
        except ConfigError as error:
            failure, why = Failure.UNAVAILABLE, str(error)
        reason = f"the model gave no answer: {failure} ({brief(self.decider.mask(why), 300)})"
        return Opinion(decision=None, failure=failure, reason=reason, question=self.question)

    def _reused(self) -> Opinion | None:
        """An earlier answer, checked again; None when there is none that still can be used."""
        now = self.decider.now()
        earlier = self.decider.ledger.answered(self.hash, now - self.settings.reuse)
        if earlier is None:
            return None
        try:
            found = answer.read(earlier.answer, self.question, more=False)
        except Unusable:
            return None  # it asked for evidence, or the catalog is another one
        self.decider.ledger.note(
            replace(earlier, id=0, incident=self.incident, at=now, round=Round.REUSED, prompt="",
                    input_tokens=0, output_tokens=0, money=0.0, seconds=0.0, requests=0,
                    reused=earlier.id)
        )  # fmt: skip
        return self._opinion(found, reused=True)

    def _asked(self) -> Opinion:
        """The question, and at most one more: to repair, to the second model, or with evidence."""
        endpoint: Endpoint = self.settings
        try:
            found = self._ask(endpoint, Round.FIRST)
        except _NoAnswer as given:
            found, endpoint = self._second(given)
        if found.probe is not None:
            assert self.probe is not None, "without a probe nobody is offered to ask for one"
            started = time.monotonic()
            evidence = (*self.question.evidence, *self.probe(found.probe))
            self.until += time.monotonic() - started  # a playbook has deadlines of its own
            self.question = replace(self.question, evidence=evidence, probes=())
            found = self._ask(endpoint, Round.EVIDENCE)
        return self._opinion(found)

    def _second(self, given: _NoAnswer) -> tuple[Answer, Endpoint]:
        """After a failure: the repair, or the second model. Raises _NoAnswer."""
        fallback = self.settings.fallback
        try:
            if given.failure is Failure.INVALID:
                return self._ask(self.settings, Round.REPAIR, after=given), self.settings
            if fallback is not None and given.failure is not Failure.BUDGET:
                return self._ask(fallback, Round.FALLBACK), fallback
        except _NoAnswer as again:
            # That there is no second call is not why there is no answer.
            raise (given if again.failure is Failure.BUDGET else again) from None
        raise given

    def _opinion(self, found: Answer, *, reused: bool = False) -> Opinion:
        assert found.decision is not None, "the last call cannot ask for more"
        reason = brief(self.decider.mask(found.decision.reason), 600)
        decision = replace(found.decision, reason=reason)
        return Opinion(decision=decision, question=self.question, reused=reused)

    def _ask(self, endpoint: Endpoint, round: Round, after: _NoAnswer | None = None) -> Answer:
        """One call. Raises _NoAnswer, and ConfigError when nothing could be asked."""
        first = round is Round.FIRST
        question = self.question if first else replace(self.question, probes=())
        mark, more = fence(), bool(question.probes)
        schema = answer.schema(question, more=more)
        told = schema if endpoint.method == "json_mode" else None
        shown = self.decider.prompts.question(question, fence=mark, schema=told)
        messages: list[Message] = [("system", shown.system), ("human", shown.question)]
        if after is not None:
            repair = self.decider.prompts.repair(after.detail, fence=mark)
            messages += [("ai", cut(storable(after.said), _ECHO) or "(nothing)"), ("human", repair)]
        if not self.decider.slots.acquire(timeout=max(0.0, self._left())):
            raise _NoAnswer(Failure.BUSY, f"{self.settings.concurrency} calls are under way")
        try:
            call = self._open(endpoint, round, messages)
            reply, requests = self._sent(endpoint, messages, schema)
        finally:
            self.decider.slots.release()
        found, reply = understood(reply, lambda text: answer.read(text, question, more=more))
        self.decider.ledger.close(kept(self.decider, endpoint, call, reply, requests=requests))
        if found is None:
            assert reply.failure is not None, "what has no failure has an answer"
            raise _NoAnswer(reply.failure, reply.detail, reply.text)
        return found

    def _open(self, endpoint: Endpoint, round: Round, messages: Sequence[Message]) -> ModelCall:
        """The call as the ledger keeps it. Raises _NoAnswer when a bound forbids it."""
        kept = round in (Round.FIRST, Round.REPAIR)
        call = self.decider.ledger.open(
            ModelCall(
                incident=self.incident,
                at=self.decider.now(),
                round=round,
                provider=endpoint.provider,
                model=endpoint.name,
                prompt_hash=self.decider.prompts.hash,
                # What a second model or a look at the host led to is no answer to this question.
                question=self.hash if kept else "",
                prompt="\n\n".join(f"--- {role}\n{text}" for role, text in messages),
            ),
            self.settings,
        )
        if call.failure is not None:
            raise _NoAnswer(call.failure, call.detail)
        return call

    def _sent(
        self, endpoint: Endpoint, messages: Sequence[Message], schema: Any
    ) -> tuple[Reply, int]:
        """The reply, and how many requests it took: a busy provider is asked again."""
        requests = 0
        while True:
            left = self._left()
            if left <= 0:
                why = "model.deadline is over"
                return Reply(failure=Failure.TIMEOUT, detail=why), requests
            requests += 1
            reply = self.decider.request(
                endpoint,
                messages,
                schema,
                timeout=min(self.settings.timeout.total_seconds(), left),
                max_tokens=self.settings.max_tokens,
            )
            passes = reply.failure is not None and reply.failure.passes
            if not passes or requests > self.settings.retries:
                return reply, requests
            wait = reply.retry_after
            if wait is None:
                wait = _WAIT * 2 ** (requests - 1) * random.uniform(0.5, 1.5)
            if wait > min(_LONGEST_WAIT, self._left() - 1.0):
                return reply, requests
            self.decider.sleep(wait)

    def _left(self) -> float:
        return self.until - time.monotonic()


def kept(
    decider: ModelDecider, endpoint: Endpoint, call: ModelCall, reply: Reply, *, requests: int
) -> ModelCall:
    """An opened call with what came of it, masked, as the ledger keeps it."""
    said = visible(storable(reply.text[:_KEPT]), lines=True)
    masked = decider.mask(said)
    # Tokens that the provider did not count are estimated.
    read = reply.input_tokens or estimated(call.prompt)
    written = reply.output_tokens or estimated(reply.text)
    money = (read * endpoint.prices.input + written * endpoint.prices.output) / 1_000_000
    return replace(
        call,
        version=brief(reply.version, 120),
        answer=masked,
        # What was masked or cut is no longer the answer, and cannot count again.
        question=call.question if masked == reply.text else "",
        failure=reply.failure,
        detail=brief(decider.mask(reply.detail), 500),
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        money=0.0 if reply.failure in _FREE else money,
        seconds=reply.seconds,
        requests=0 if reply.failure is Failure.UNAVAILABLE else max(1, requests),
        finish=brief(reply.finish, 40),
    )


def understood(reply: Reply, read: Callable[[str], T]) -> tuple[T | None, Reply]:
    """The reply as `read` understands it, which may raise Unusable; None, and the reply with its
    failure, when there is nothing."""
    if reply.failure is not None:
        return None, reply
    try:
        return read(reply.text), reply
    except Unusable as error:
        return None, replace(reply, failure=Failure.INVALID, detail=str(error))


#: Failures after which the provider has read nothing that it could ask money for.
_FREE = frozenset(
    {
        Failure.UNREACHABLE,
        Failure.RATE_LIMITED,
        Failure.SERVER_ERROR,
        Failure.DENIED,
        Failure.REJECTED,
        Failure.UNAVAILABLE,
    }
)


def estimated(text: str) -> int:
    """About how many tokens a text has: three characters each, rather too many than too few."""
    return -(-len(text) // 3)


#: What differs from one time of asking to the next, and is no new fact: the moment at which the
#: alert began, how long ago earlier incidents were, and those that ended well.
_SINCE = re2.compile(r"(?m)^(status: \w+), since .*$")
_PAST = re2.compile(r"^#\d+, \S+ ago, ")
_GOOD = re2.compile(r", (?:fixed|resolved|observed|dry_run): ")
_NO_PAST = "no similar incident is on record"


def question_hash(
    question: Question, prompts: Prompts, schema: Mapping[str, Any], endpoint: Endpoint
) -> str:
    """The same for questions that would get the same answer."""
    steady = []
    for item in question.evidence:
        text = item.text
        if item.kind == "alert":
            text = _SINCE.sub(r"\1", storable(text))
        elif item.kind == "history":
            lines = (line for line in storable(text).splitlines() if line != _NO_PAST)
            bad = sorted({_PAST.sub("", line) for line in lines if not _GOOD.search(line)})
            text = "\n".join(bad)
        steady.append(replace(item, text=text))
    choices = tuple(replace(choice, past=()) for choice in question.choices)
    shown = prompts.question(
        replace(question, evidence=tuple(steady), choices=choices), fence=PLACEHOLDER
    )
    asked = [prompts.hash, shown.system, shown.question, schema]
    asked += [endpoint.provider, endpoint.name, endpoint.base_url or ""]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
