"""The language of conditions in rulebooks, as ansible-rulebook 1.3 reads it, as a tree.

    event.alert.labels.job == "shop" and not event.alert.labels.env in ["test", "dev"]

`and` and `or` have one rank and are read from the left, unlike in Python. What a condition means
for an alert is not said here: see `matching`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_LENGTH = 10_000  #: characters of one condition
MAX_DEPTH = 30  #: of parentheses and `not`

_TOKEN = re.compile(
    r"""(?P<text>"[^"\n\r]*"|'[^'\n\r]*')
    |(?P<path>(?:events|event|facts|fact|vars)\b
        (?:\.[^\W\d]\w*|\[(?:"[^"\n\r]*"|'[^'\n\r]*'|[+-]?[0-9]+)\])*)
    |(?P<number>[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?(?!\w))
    |(?P<word>[A-Za-z][A-Za-z0-9]*(?!\w))
    |(?P<sign><<|==|!=|>=|<=|[<>+*/()\[\],=-])""",
    re.VERBOSE,
)
_PART = re.compile(
    r"""\.(?P<name>\w+)|\[(?:(?P<quote>["'])(?P<text>.*?)(?P=quote)|(?P<at>[+-]?\d+))\]"""
)
_SPACE = re.compile(r"\s*")
_ESCAPE = re.compile(r"\\([tnrf])")
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_CONSTANTS: dict[str, bool | None] = {
    "true": True, "True": True, "false": False, "False": False, "null": None,
}  # fmt: skip
_SIGNS = ("==", "!=", ">=", "<=", "<", ">", "+", "-", "*", "/")
_WORDS = ("in", "contains")
_EVENTS = ("event", "fact", "vars.")
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
_SEARCHES = ("match", "regex", "search")


@dataclass(frozen=True)
class Path:
    """A value of the event: `event.alert.labels.job`, `event.payload.alerts[0]["status"]`."""

    root: str  #: event, events, fact or facts
    parts: tuple[str | int, ...]
    written: str


@dataclass(frozen=True)
class Search:
    """What stands behind `is`: a regular expression of Java."""

    kind: str  #: match (from the beginning), regex or search (anywhere)
    pattern: str
    ignorecase: bool


@dataclass(frozen=True)
class Defined:
    """`defined`, behind `is` or `is not`."""


Operand = Path | Search | Defined | tuple[Any, ...] | str | int | float | bool | None


@dataclass(frozen=True)
class Comparison:
    """Two things and what is said of them; `op` is a sign, or is, is not, in, not in, contains."""

    left: Operand
    op: str
    right: Operand


@dataclass(frozen=True)
class Always:
    """`true` or `false`, as a whole condition or a part of one."""

    holds: bool


@dataclass(frozen=True)
class Both:
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Either:
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Negated:
    of: Expression


Expression = Comparison | Always | Both | Either | Negated


def parse(text: str, variables: Mapping[str, Any]) -> Expression:
    """The tree of a condition; `variables` are those that `vars.NAME` stands for.

    The name that `events.NAME << …` gives to the event is left out. Raises ValueError with a
    predicate of the condition.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    return _Parser(_tokens(text), variables).whole()


def value_of(name: str, variables: Mapping[str, Any]) -> Any:
    """The variable of a dotted name. Raises ValueError with a predicate."""
    value: Any = variables
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise ValueError(f"uses the variable {name}; name the file that has it with --vars")
        value = value[part]
    return value


def filled_in(text: str, variables: Mapping[str, Any]) -> Any:
    """What `{{ … }}` in an action stands for: a Path of the event, or the value of a variable; any
    other text stands for itself. Raises ValueError with a predicate.
    """
    if "{{" not in text and "{%" not in text:
        return text
    whole = text.strip()
    inner = whole[2:-2].strip("- \t\n") if whole.startswith("{{") and whole.endswith("}}") else ""
    if len(inner) > MAX_LENGTH:
        inner = ""
    if _NAME.fullmatch(inner) and not inner.startswith(_EVENTS):
        return value_of(inner, variables)
    try:
        tokens = _tokens(inner)
    except ValueError:
        tokens = []
    if len(tokens) == 2 and tokens[0][0] == "path":
        found = _Parser(tokens, variables).operand()
        if isinstance(found, Path):
            return found
    raise ValueError(f"fills in {text[:80]!r}; only a label or a variable alone has a counterpart")


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, text) of each token, and an end."""
    found, at = [], _SPACE.match(text).end()  # type: ignore[union-attr]
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise ValueError(f"cannot be read from {text[at : at + 30]!r} on")
        found.append((str(token.lastgroup), token[0]))
        at = _SPACE.match(text, token.end()).end()  # type: ignore[union-attr]
    return [*found, ("end", "its end")]


class _Parser:
    """One walk over the tokens, a method for each rank of the grammar."""

    def __init__(self, tokens: list[tuple[str, str]], variables: Mapping[str, Any]) -> None:
        self.tokens, self.at, self.depth = tokens, 0, 0
        self.variables = variables

    def whole(self) -> Expression:
        if self.tokens[0][1].startswith(("events.", "facts.")) and self.tokens[1][1] == "<<":
            self.at = 2
        found = self.expression()
        self.expect("end", "its end")
        return found

    def expression(self) -> Expression:
        left = self.unary()
        while self.next in (("word", "and"), ("word", "or")):
            joined = Both if self.take() == "and" else Either
            left = joined(left, self.unary())
        return left

    def unary(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError(f"is nested more than {MAX_DEPTH} levels deep")
        found: Expression
        if self.next == ("word", "not"):
            self.take()
            found = Negated(self.unary())
        elif self.next == ("sign", "("):
            self.take()
            found = self.expression()
            self.expect("sign", ")")
            if self.operator():
                raise ValueError("compares what stands in parentheses")
        else:
            found = self.comparison()
        self.depth -= 1
        return found

    def comparison(self) -> Expression:
        left = self.operand()
        op = self.operator()
        if not op:
            if isinstance(left, bool):
                return Always(left)
            raise ValueError(f"says nothing of {self.tokens[self.at - 1][1]}")
        right = self.tested() if op in ("is", "is not") else self.operand()
        if self.operator():
            raise ValueError("compares more than two things at once")
        return Comparison(left, op, right)

    def operator(self) -> str:
        """Takes an operator, if one comes."""
        kind, text = self.next
        if kind == "sign" and text in _SIGNS:
            return self.take()
        if kind == "word" and text in _WORDS:
            return self.take()
        if self.next == ("word", "not") and self.tokens[self.at + 1][1] in _WORDS:
            return f"{self.take()} {self.take()}"
        if self.next == ("word", "is"):
            self.take()
            if self.next == ("word", "not"):
                self.take()
                return "is not"
            return "is"
        return ""

    def tested(self) -> Operand:
        """What stands behind `is` and `is not`."""
        word = self.take()
        if word == "defined":
            return Defined()
        if word in ("select", "selectattr"):
            raise ValueError(f"looks into a list ({word}), and a label is a text")
        if word not in _SEARCHES:
            raise ValueError(f"has {word} where defined, match, search or regex should stand")
        self.expect("sign", "(")
        pattern, fold = self.operand(), False
        while self.next == ("sign", ","):
            self.take()
            name = self.take()
            self.expect("sign", "=")
            given = self.operand()
            if name != "ignorecase" or not isinstance(given, bool):
                raise ValueError(f"has the option {name}, which has no counterpart here")
            fold = given
        self.expect("sign", ")")
        if not isinstance(pattern, str):
            raise ValueError(f"has no text as the pattern of {word}")
        return Search(word, pattern, fold)

    def operand(self) -> Operand:
        kind, text = self.next
        if self.next == ("sign", "["):
            return self.listed()
        self.at += 1
        if kind == "text":
            return _ESCAPE.sub(lambda escape: _ESCAPED[escape[1]], text[1:-1])
        if kind == "number":
            return float(text) if set(text) & set(".eE") else int(text)
        if kind == "word" and text in _CONSTANTS:
            return _CONSTANTS[text]
        if kind == "word" and text not in ("and", "or", "not", "is", *_WORDS):
            return text
        if kind == "path":
            return self.path(text)
        raise ValueError(f"has {text} where a value should stand")

    def listed(self) -> Operand:
        items = []
        while self.take() in ("[", ","):
            items.append(self.operand())
        self.at -= 1
        self.expect("sign", "]")
        return tuple(items)

    def path(self, text: str) -> Operand:
        root = re.split(r"[.\[]", text, maxsplit=1)[0]
        parts = tuple(
            int(part["at"]) if part["at"] else part["name"] or part["text"] or ""
            for part in _PART.finditer(text, len(root))
        )
        if root != "vars":
            return Path(root, parts, text)
        value = value_of(".".join(map(str, parts)), self.variables)
        if isinstance(value, list):
            return tuple(value)
        if not isinstance(value, str | int | float | bool | None):
            raise ValueError(f"uses {text}, which is neither a text nor a list")
        return value

    @property
    def next(self) -> tuple[str, str]:
        return self.tokens[self.at]

    def take(self) -> str:
        text = self.next[1]
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return text

    def expect(self, kind: str, text: str) -> None:
        if self.next != (kind, text):
            raise ValueError(f"has {self.next[1]} where {text} should stand")
        self.take()
