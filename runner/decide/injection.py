"""Cheap detectors of text that tries to steer a model. They lower the level and page (invariant 8).

They find what is clumsy; nothing depends on their finding all of it. What holds an attacker is
that the model can only choose among eligible entries, and that policy judges the choice.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import re2

from runner.config import Injection
from runner.incident import Evidence, Labels
from runner.text import brief, pattern, storable

_MOST = 16 * 1024  #: characters of one text that are looked at


def _any(*patterns: str) -> str:
    return "(?:" + "|".join(patterns) + ")"


_MODEL = _any(
    "ai", "assistant", "llm", "model", "chatgpt", "gpt", "claude", "gemini", "agent", "bot"
)
_ROLE = _any("system", "assistant", "user", "human", "developer")
_CHOOSE = _any(
    "choose", "select", "pick", "use", "run", "execute", "call", "invoke", "launch", "trigger",
    "apply", "prefer", "recommend",
)  # fmt: skip
_PEOPLE = _any(
    "page", "paging", r"escalat\w+", r"notif\w+", r"alert(?:ing)? (?:anyone|people|the)", "tell",
    r"ask(?:ing)?", "human", r"approv\w+", r"dry.?runs?", r"rehears\w+",
    "check mode", r"confirm\w*", r"verif\w+",
)  # fmt: skip
_WORDS: dict[str, str] = {
    "tells to ignore instructions": (
        r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b"
        + _any("instruction", "prompt", "rule", "polic(?:y|ies)", "guideline", "direction", "above",
               "previous", "prior")
    ),
    "speaks to a model": _any(
        rf"\byou are (?:now )?(?:an?|the) {_MODEL}\b",
        r"\bas an ai\b",
        rf"\b(?:dear|attention|note to|hey|hello)[ ,:]{{0,3}}(?:the )?{_MODEL}\b",
        r"\blanguage model",
        r"\bnew (?:system )?(?:instruction|prompt|task|objective)s?\b",
        r"\b(?:system|developer|hidden) (?:prompt|message|instruction|override|note)",
    ),
    "plays a role of the chat": _any(
        r"<\|?/?(?:im_start|im_end|system|assistant|user|endoftext|start_header_id|eot_id)\|?>",
        r"\[/?INST\]",
        r"<</?SYS>>",
        rf"^[#\s>*-]{{0,6}}{_ROLE}\s*[:\]]",
        r"</?(?:data|system|instructions?|assistant|tool_call|function_calls?)\b[^>]{0,60}>",
    ),
    "tells what to answer": _any(
        r"\b(?:answer|respond|reply|output|return|say|print)\b.{0,30}\b(?:with|only|exactly|json)\b",
        "none_of_these",
        "need_evidence",
        r"[\"']?\bconfidence\b[\"']?\s{0,3}(?:[:=]|to|of|is)\s{0,3}[\"']?"
        + _any(r"1(?:\.0+)?", r"0?\.9\d*", r"100\s?%", "high", "max") + r"\b",
        r"[\"'](?:entry|alternatives|cited)[\"']\s{0,3}:",
    ),
    "tells what to choose": (
        rf"\b{_CHOOSE}\b.{{0,30}}\b"
        + _any("entry", "playbook", "this tool", "on all", "all hosts", "every host",
               "immediately", "at once") + r"\b"
    ),
    "tells to skip people or checks": _any(
        rf"\b(?:do not|don't|never|no need to|without)\b.{{0,20}}\b{_PEOPLE}\b",
        r"\b(?:pre-?)?(?:approved|authori[sz]ed|cleared|whitelisted) by\b",
        r"\balready (?:been )?approved",
        r"\bauto-?approve",
        r"\b(?:set|raise|with) (?:the )?level (?:to |at )?auto",
        r"\blevel\s?[:=]\s?auto",
        r"\bsafe to (?:auto|proceed|ignore)",
    ),
}  # fmt: skip
_COMPILED = tuple((what, re2.compile(f"(?im){words}")) for what, words in _WORDS.items())
_HIDDEN = frozenset("\u200b\u200c\u200d\u2060\ufeff\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
_WRITTEN = re2.compile(r"\\(?:u(?:200[b-d]|2060|feff|202[abde]|206[678])|U000e00[0-9a-f]{2}|x1b)")
_LONG = re2.compile(r"(?:^|[^A-Za-z0-9+/=])[A-Za-z0-9+/]{120,}={0,2}(?:$|[^A-Za-z0-9+/=])")
_SPACES = re2.compile(" +")


@dataclass(frozen=True, kw_only=True)
class Suspicion:
    """One text that looks like an attempt, where it stands and why it is suspected."""

    place: str  #: `evidence 4`, `label summary`
    why: str

    def __str__(self) -> str:
        return f"{self.place} {self.why}"


class Detectors:
    """The detectors as configured. Raises ConfigError for a pattern that cannot be compiled."""

    def __init__(self, settings: Injection) -> None:
        self._enabled = settings.enabled
        self._patterns = [
            *_COMPILED,
            *(
                ("fits a pattern of yours", pattern("model.injection.patterns", own, "(?im)"))
                for own in settings.patterns
            ),
        ]

    def suspicions(
        self,
        labels: Labels,
        annotations: Labels,
        evidence: Sequence[Evidence],
        hosts: Iterable[str] = (),
    ) -> tuple[Suspicion, ...]:
        """Every text that is suspected, each once, by the first detector that finds it."""
        if not self._enabled:
            return ()
        texts = [
            (f"{kind} {brief(name, 40)}", f"{name}\n{value}")
            for kind, pairs in (("label", labels), ("annotation", annotations))
            for name, value in sorted(pairs.items())
        ]
        texts += [(f"host {brief(host, 40)}", host) for host in hosts]
        # Runbooks and inventory are files of the project, and the alert's texts were looked at.
        texts += [
            (f"evidence {item.number}", f"{item.title}\n{item.text}")
            for item in evidence
            if item.kind not in ("runbook", "inventory", "alert")
        ]
        found = ((place, self.suspected(text)) for place, text in texts)
        return tuple(Suspicion(place=place, why=why) for place, why in found if why is not None)

    def suspected(self, text: str) -> str | None:
        """What is suspicious about `text`; None when nothing is."""
        text = storable(text[:_MOST])
        if _HIDDEN & set(text) or any("\U000e0000" <= c <= "\U000e007f" for c in text):
            return "hides characters"
        if _WRITTEN.search(text):
            return "hides characters"
        # `text` as it is meant to be read: without accents, look-alikes and odd spaces.
        parts = unicodedata.normalize("NFKD", text)
        bare = "".join(
            " " if c.isspace() and c != "\n" else c for c in parts if not unicodedata.combining(c)
        )
        clear = str(_SPACES.sub(" ", bare))
        for what, sign in self._patterns:
            if sign.search(clear):
                return what
        return "holds a long encoded text" if _LONG.search(text) else None
