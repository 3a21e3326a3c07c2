"""Cases put to a model: live, recorded, or from what was recorded before."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import TypeAdapter, ValidationError

from runner.cases.briefing import Briefing, Setting
from runner.cases.run import CaseAnswer, Decide, rules_alone
from runner.catalog.choose import MOST
from runner.config import Endpoint, Model
from runner.decide import provider
from runner.decide.answer import DECIDER
from runner.decide.both import settle
from runner.decide.ledger import Memory
from runner.decide.model import ModelDecider, Opinion
from runner.decide.personal import Hide
from runner.decide.prompt import Prompts, Question, choices_of
from runner.decide.provider import Message, Reply
from runner.errors import ConfigError, RunnerError, UsageError
from runner.evidence.mask import Mask
from runner.incident.model_call import Failure, ModelCall

_REPLIES: TypeAdapter[list[Reply]] = TypeAdapter(list[Reply])


class Link(Protocol):
    """How a request of one question is made."""

    def ask(self, key: str, endpoint: Endpoint, messages: Sequence[Message], **rest: Any) -> Reply:
        """The reply to the question of this hash."""


class Live:
    """Asks the model."""

    def ask(self, key: str, endpoint: Endpoint, messages: Sequence[Message], **rest: Any) -> Reply:
        """See `Link`."""
        schema = rest.pop("schema", None)
        return provider.request(endpoint, messages, schema, **rest)


class Recorder(Live):
    """Asks the model and keeps what it said: a file for each question, its replies in order."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[str, list[Reply]] = {}

    def ask(self, key: str, endpoint: Endpoint, messages: Sequence[Message], **rest: Any) -> Reply:
        """See `Link`. Raises UsageError when the folder cannot be written."""
        reply = super().ask(key, endpoint, messages, **rest)
        kept = self._kept.setdefault(key, [])
        kept.append(reply)
        text = json.dumps(_REPLIES.dump_python(kept, mode="json"), indent=2) + "\n"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{key}.json").write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{self._folder}: cannot be written ({error.strerror})") from None
        return reply


class Replayer:
    """Says what was recorded, in the same order; the last reply stands for all further ones."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UsageError(f"{folder}: there is no such folder; make it with --record")
        self._folder = folder
        self._asked: dict[str, int] = {}

    def ask(self, key: str, endpoint: Endpoint, messages: Sequence[Message], **rest: Any) -> Reply:
        """See `Link`. What was not recorded is a failure, and no guess."""
        try:
            text = (self._folder / f"{key}.json").read_text(encoding="utf-8")
            replies = _REPLIES.validate_json(text)
        except FileNotFoundError:
            why = f"no answer to this question is recorded in {self._folder}; use --record again"
            return Reply(failure=Failure.UNAVAILABLE, detail=why)
        except (OSError, ValidationError, UnicodeDecodeError):
            why = f"{self._folder / key}.json is no recorded answer; use --record again"
            return Reply(failure=Failure.UNAVAILABLE, detail=why)
        number = self._asked.get(key, 0)
        self._asked[key] = number + 1
        return replies[min(number, len(replies) - 1)] if replies else Reply(failure=Failure.INVALID)


class _Ledger(Memory):
    """Remembers which question is being asked, by its hash: the fence differs in every prompt."""

    def __init__(self) -> None:
        super().__init__()
        self._now = threading.local()

    def open(self, call: ModelCall, settings: Model) -> ModelCall:
        """See `runner.decide.ledger.Ledger`."""
        if call.question:
            self._now.question = call.question
        self._now.key = f"{self._now.question[:40]}-{call.round}"
        return super().open(call, settings)

    @property
    def key(self) -> str:
        """Of the call that was opened last in this thread."""
        return str(self._now.key)


class Asker:
    """Puts situations to the project's model. Raises ConfigError where there is none."""

    def __init__(self, setting: Setting, link: Link | None = None) -> None:
        if setting.config.model is None:
            raise ConfigError("--decider model needs a section model in runner.yml")
        self.settings = setting.config.model
        self._setting = setting
        self._ledger = _Ledger()
        self._link = link or Live()
        patterns = (*setting.config.mask.patterns, *self.settings.mask.patterns)
        secrets = Mask(patterns, vault=setting.mask.vault)
        hide = Hide(secrets, personal=self.settings.mask.personal)
        # Cases are many and are asked for by a person: no bound on calls, nothing is used again.
        budget = self.settings.budget.model_copy(
            update={"calls_per_hour": None, "calls_per_day": None}
        )
        self._decider = ModelDecider(
            self.settings.model_copy(update={"budget": budget, "reuse": timedelta(seconds=-1)}),
            Prompts(setting.config.project.prompts, hide, max_evidence=self.settings.max_evidence),
            self._ledger,
            mask=hide,
            request=self._request,
        )

    def opinion(self, told: Briefing) -> tuple[Opinion, tuple[ModelCall, ...]]:
        """What the model thinks, and the calls that it took. No probe can be run offline."""
        before = len(self._ledger.calls)
        opinion = self._decider.decide(question(told, self._setting))
        return opinion, tuple(self._ledger.calls[before:])

    def _request(
        self, endpoint: Endpoint, messages: Sequence[Message], schema: Any, **rest: Any
    ) -> Reply:
        try:
            return self._link.ask(self._ledger.key, endpoint, messages, schema=schema, **rest)
        except RunnerError as error:
            return Reply(failure=Failure.UNAVAILABLE, detail=str(error))


def deciding(asker: Asker, decider: Literal["model", "both"]) -> Decide:
    """The model alone, or with the rules, as the step decides that has both of them."""

    def decide(told: Briefing) -> CaseAnswer:
        by_rules = rules_alone(told)
        if not told.options:  # nobody is asked about nothing
            return by_rules
        opinion, calls = asker.opinion(told)
        return settled(by_rules, opinion, calls, decider, asker.settings)

    return decide


def settled(
    by_rules: CaseAnswer,
    opinion: Opinion,
    calls: Sequence[ModelCall],
    decider: Literal["model", "both"],
    settings: Model,
) -> CaseAnswer:
    """What counts of the rules' answer and the model's opinion, with what the model cost."""
    found = settle(by_rules.decision, opinion, deciders=decider, on_failure=settings.on_failure)
    read = any(decision.decider == DECIDER for decision in found.kept)
    return CaseAnswer(
        decision=found.decision,
        decisions=found.kept,
        suspicions=tuple(map(str, opinion.suspicions)) if read else (),
        problem=opinion.reason if opinion.decision is None else "",
        missing=opinion.failure is Failure.UNAVAILABLE,
        calls=len(calls),
        tokens=sum(call.input_tokens + call.output_tokens for call in calls),
        money=sum(call.money for call in calls),
    )


def question(told: Briefing, setting: Setting) -> Question:
    """The situation as a question: what the model would be asked in the incident."""
    return Question(
        labels=told.alert.labels,
        annotations=told.alert.annotations,
        choices=choices_of(setting.catalog, told.options),
        unlisted=max(0, len(told.options) - MOST),
        evidence=told.evidence,
        hosts=told.hosts,
        environment=setting.config.environment,
    )
