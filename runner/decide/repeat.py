"""Whether a question was asked before: its hash, without what differs from call to call.

The random fence is replaced. Of the evidence what only says when or how often is left out: the
moment at which the alert began, how long ago earlier incidents were, and earlier incidents that
ended well. One that did not end well is a new fact, and so is any other text or value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import re2

from runner.config import Endpoint
from runner.decide.prompt import Prompts
from runner.decide.question import Question
from runner.decide.untrusted import PLACEHOLDER
from runner.incident import Evidence
from runner.text import storable

_SINCE = re2.compile(r"(?m)^(status: \w+), since .*$")
_PAST = re2.compile(r"^#\d+, \S+ ago, ")
_GOOD = re2.compile(r", (?:fixed|resolved|observed|dry_run): ")
_NO_PAST = "no similar incident is on record"


def question_hash(
    question: Question, prompts: Prompts, schema: Mapping[str, Any], endpoint: Endpoint
) -> str:
    """The same for questions that would get the same answer."""
    steady = replace(question, evidence=tuple(map(_steady, question.evidence)))
    choices = tuple(replace(choice, past=()) for choice in steady.choices)
    shown = prompts.question(replace(steady, choices=choices), fence=PLACEHOLDER)
    asked = [prompts.hash, shown.system, shown.question, schema]
    asked += [endpoint.provider, endpoint.name, endpoint.base_url or ""]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _steady(item: Evidence) -> Evidence:
    if item.kind == "alert":
        return replace(item, text=_SINCE.sub(r"\1", storable(item.text)))
    if item.kind == "history":
        lines = (line for line in storable(item.text).splitlines() if line != _NO_PAST)
        bad = sorted({_PAST.sub("", line) for line in lines if not _GOOD.search(line)})
        return replace(item, text="\n".join(bad))
    return item
