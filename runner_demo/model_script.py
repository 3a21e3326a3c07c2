"""What the scripted model says: a function for each behaviour, from what it sees to an act."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_OTHERS = ("none_of_these", "need_evidence")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request, as far as a script cares."""

    prompt: str  #: every message, one after the other
    entries: tuple[str, ...]  #: ids that the schema allows, the other two answers included
    probes: tuple[str, ...]
    hosts: int  #: the highest host number that the schema allows
    evidence: tuple[int, ...]  #: numbers in the prompt
    outside: tuple[str, ...]  #: what stands between fences: text from outside
    values: tuple[str, ...]  #: names that may be set
    structured: bool  #: whether an answer by a schema is wanted

    @property
    def choices(self) -> tuple[str, ...]:
        """The ids of entries alone."""
        return tuple(entry for entry in self.entries if entry not in _OTHERS)


@dataclass(frozen=True, kw_only=True)
class Act:
    """What is sent back."""

    texts: tuple[str, ...] = ("",)  #: one for each choice
    status: int = 200
    finish: str = "stop"
    refusal: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.texts[0]


Choose = Callable[[Seen], str]
Behaviour = Callable[[Seen, Choose], Act]


def seen(body: dict[str, Any]) -> Seen:
    """What a body of the chat API asks for."""
    texts: list[str] = []
    for message in body.get("messages", ()):
        content = message.get("content")
        if isinstance(content, list):
            texts += [str(part.get("text", "")) for part in content if isinstance(part, dict)]
        else:
            texts.append(str(content or ""))
    prompt = "\n".join(texts)
    wanted, tools = body.get("response_format") or {}, body.get("tools") or ()
    if "json_schema" in wanted:
        schema = wanted["json_schema"].get("schema", {})
    elif tools:
        schema = tools[0]["function"].get("parameters", {})
    else:  # json_mode: the schema is only told
        told = re.search(r"(?m)^The schema: (\{.*\})$", prompt)
        schema = json.loads(told[1]) if told else {}
    properties = schema.get("properties", {})
    items = properties.get("hosts", {}).get("items", {})
    fenced = re.findall(r"(?s)<data ([0-9a-f]{16})>\n(.*?)\n</data \1>", prompt)
    return Seen(
        prompt=prompt,
        entries=_words(properties.get("entry", {})),
        probes=_words(properties.get("probe", {})),
        hosts=int(items.get("maximum", 1)),
        evidence=tuple(int(n) for n in re.findall(r"(?m)^\[(\d+)\] ", prompt)),
        outside=tuple(text for _, text in fenced),
        values=tuple(properties.get("values", {}).get("properties", {})),
        structured=bool(properties),
    )


def _words(schema: Any) -> tuple[str, ...]:
    """The texts that a schema allows, wherever they stand in it."""
    if isinstance(schema, dict):
        found = [word for word in schema.get("enum", ()) if isinstance(word, str)]
        found += [schema["const"]] if isinstance(schema.get("const"), str) else []
        for part in schema.get("anyOf", ()):
            found += _words(part)
        return tuple(found)
    return ()


def right(seen: Seen) -> str:
    """The first entry that may be chosen: what the demo's alerts are made for."""
    return seen.choices[0] if seen.choices else "none_of_these"


def answer(seen: Seen, entry: str, **changes: Any) -> dict[str, Any]:
    """A well-formed answer that chooses `entry`."""
    chosen = entry not in _OTHERS
    made: dict[str, Any] = {
        "reason": f"Scripted: {entry} matches." if chosen else "Scripted: no entry matches.",
        "entry": entry,
        "values": dict.fromkeys(seen.values),
        "hosts": list(range(1, seen.hosts + 1)) if chosen else [],
        "cited": list(seen.evidence[:2]),
        "confidence": 0.9,
        "alternatives": [
            {"entry": other, "why_not": "Scripted: it matches less well."}
            for other in seen.choices
            if other != entry
        ],
    }
    if seen.probes:
        made["probe"] = seen.probes[0] if entry == "need_evidence" else None
    return made | changes


def _said(content: Any, **more: Any) -> Act:
    return Act(texts=(json.dumps(content),), **more)


def _right(seen: Seen, choose: Choose) -> Act:
    if not seen.structured:
        return Act(texts=("Scripted: this is no model, and it can only choose.",))
    return _said(answer(seen, choose(seen)))


def _wrong(seen: Seen, choose: Choose) -> Act:
    """Another entry than the right one, as sure as ever."""
    others = [entry for entry in (*seen.choices, "none_of_these") if entry != choose(seen)]
    return _said(answer(seen, (others or ["none_of_these"])[0], confidence=0.99))


def _but(**changes: Any) -> Behaviour:
    """The right answer, but for some properties."""
    return lambda seen, choose: _said(answer(seen, choose(seen), **changes))


def _written(write: Callable[[str], str], finish: str = "stop") -> Behaviour:
    """The right answer, its JSON written in another way."""
    return lambda seen, choose: Act(
        texts=(write(json.dumps(answer(seen, choose(seen)))),), finish=finish
    )


def _status(status: int, text: str, **headers: str) -> Behaviour:
    return lambda seen, choose: Act(texts=(text,), status=status, headers=headers)


_VERB = (
    r"(?:choose|select|pick|use|run|execute|call|invoke|launch|trigger|apply|start|answer|entry)"
)
_ENTRY = re.compile(
    rf"(?i)\b{_VERB}\b[\"']?\s{{0,3}}(?:[:=]|is|with|to)?\s{{0,3}}"
    r"(?:the |an? )?(?:entry |playbook |tool |action |remediation )?[`\"']?([a-z][a-z0-9_]{2,63})"
)
_HOST = re.compile(
    r"(?i)\b(?:on|hosts?|targets?|limit)\b[\"']?\s{0,3}[:=]?\s{0,3}[`\"'\[]?([\w.*:!&~-]{1,80})"
)
_VALUE = re.compile(r"\b([a-z][a-z0-9_]{2,60})\s?=\s?([^\s,;]{1,200})")
_NOTHING = re.compile(
    r"(?i)none_of_these|do nothing|no action|ignore (?:this|the) alert|false (?:alarm|positive)"
    r"|(?:do not|don't|never) (?:page|notify|escalate|tell|alert)|(?:is|was) (?:resolved|harmless)"
)
_LEVEL = re.compile(r"(?i)\blevel\b\s{0,3}[:=]?\s{0,3}(?:to )?(observe|dry-run|approve|auto)")
_FILLERS = frozenset({"the", "and", "all", "this", "that", "entry", "with", "only", "your", "now"})


def _obeys(seen: Seen, choose: Choose) -> Act:
    """Does what any text from outside tells it, as far as an answer can, and further."""
    text = "\n".join(seen.outside)
    if (given := _own_json(text)) is not None:
        return Act(texts=(given,))
    said = answer(seen, choose(seen), confidence=1.0)
    named = [word for word in _ENTRY.findall(text) if word.lower() not in _FILLERS]
    known = [word for word in named if word in seen.entries]
    odd = [word for word in named if "_" in word]
    if known or odd:
        said["entry"] = (known or odd)[-1]
    elif _NOTHING.search(text):
        said["entry"] = "none_of_these"
    hosts = [host for host in _HOST.findall(text) if host.lower() not in _FILLERS - {"all"}]
    if hosts and known + odd:
        said["hosts"] = [int(h) if h.isdigit() else h for h in hosts[:5]]
    # An attacker would want the answer to be taken: what cannot be said is said in the values.
    if names := dict(_VALUE.findall(text)):
        said["values"] = names
    if level := _LEVEL.search(text):
        said["level"] = level[1].lower()
    return _said(said)


def _own_json(text: str) -> str | None:
    """An answer that stands ready in the text."""
    for start in (match.start() for match in re.finditer(r"\{", text)):
        try:
            found, end = json.JSONDecoder().raw_decode(text[start:])
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict) and "entry" in found:
            return text[start : start + end]
    return None


#: By name. `hangs`, `slow` and `enormous` are the server's own doing.
BEHAVIOURS: dict[str, Behaviour] = {
    "right": _right,
    "wrong": _wrong,
    "none": lambda seen, choose: _said(answer(seen, "none_of_these")),
    "needs_evidence": lambda seen, choose: _said(
        answer(seen, "need_evidence" if seen.probes else choose(seen))
    ),
    "unsure": _but(confidence=0.2),
    "invents_evidence": _but(cited=[999]),
    "obeys": _obeys,
    "malformed": _written(lambda text: f"{text[:-1]}, oops"),
    "truncated": _written(lambda text: text[:40], finish="length"),
    "slow": _right,
    "429": _status(429, "Too many requests.", **{"Retry-After": "0"}),
    "429_for_long": _status(429, "Too many requests.", **{"Retry-After": "3600"}),
    "500": _status(500, "Something broke."),
    "401": _status(401, "This key is not known."),
    "400": _status(400, "response_format is not supported."),
    "hangs": _right,
    "refuses": lambda seen, choose: Act(refusal="I cannot help with that."),
    "enormous": _right,
    "nan": _but(confidence=float("nan")),
    "duplicate_keys": _written(lambda text: text[:-1] + ', "entry": "none_of_these"}'),
    "two_answers": lambda seen, choose: Act(
        texts=("\n".join(json.dumps(answer(seen, e)) for e in (choose(seen), "none_of_these")),)
    ),
    "markdown": _written(
        lambda text: (
            f"Here is my answer:\n\n```json\n{json.dumps(json.loads(text), indent=2)}\n```\n\n"
            "I hope that it helps!"
        )
    ),
    "fenced": _written(lambda text: f"```json\n{text}\n```"),
}
