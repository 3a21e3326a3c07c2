"""Alertmanager matchers: `alertname=~"ServiceDown|HttpDown"`, `severity!="info"`.

Regular expressions are RE2, as in Alertmanager: anchored at both ends, and linear
in the length of the value whatever the pattern, because values come from outside.
One difference: the label `severity` is compared without the case of its letters,
because `Info` is as little a reason to act as `info`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, cast

import re2

Op = Literal["=", "!=", "=~", "!~"]
#: The most alternatives of one key, and matchers of one alternative.
MOST = 64

#: A label whose values are the same word in any case.
_FOLDED = "severity"
_EXAMPLE = 'write it as alertname="ServiceDown"'
_PART = r'"(?:[^"\\]|\\.)*"'
_NAME = re.compile(r"[^\s{}!=~,\\\"'`]+")
_MATCHER = re.compile(
    rf"\s*(?P<label>{_PART}|{_NAME.pattern})\s*"
    rf"(?P<op>=~|!=|!~|=)\s*(?P<value>{_PART}|[^\"]*?)\s*",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "\\": "\\", '"': '"'}


@dataclass(frozen=True)
class Matcher:
    """One condition on one label. A label that is missing counts as empty."""

    label: str
    op: Op
    value: str

    def __post_init__(self) -> None:
        if self.op not in ("=", "!=", "=~", "!~"):
            raise ValueError(f"{self.op!r} is not an operator; use =, !=, =~ or !~")
        if not self.label:
            raise ValueError(f"a matcher needs a label name; {_EXAMPLE}")
        for text in (self.label, self.value):
            try:
                text.encode()
            except UnicodeEncodeError:
                raise ValueError(f"{text[:60]!r} is not valid Unicode text") from None
        if self.op in ("=~", "!~"):
            compiled(self._pattern)

    @property
    def _pattern(self) -> str:
        return f"(?i:{self.value})" if self.label == _FOLDED else self.value

    def __str__(self) -> str:
        label = self.label if _NAME.fullmatch(self.label) else _quoted(self.label)
        return f"{label}{self.op}{_quoted(self.value)}"

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels fit; in time linear in the value's length."""
        value = str(labels.get(self.label, ""))
        if self.op in ("=", "!="):
            same = value == self.value
            if self.label == _FOLDED:
                same = value.lower() == self.value.lower()
            return same is (self.op == "=")
        # Bytes, because a lone surrogate in a label has no UTF-8 of its own.
        found = compiled(self._pattern).fullmatch(value.encode("utf-8", "surrogatepass"))
        return (found is not None) is (self.op == "=~")


#: Matchers of which all must match.
Matchers = tuple[Matcher, ...]
#: Any of these; an empty one matches nothing.
Alternatives = tuple[Matchers, ...]


def parse_alternatives(value: Any) -> Alternatives:
    """What `match` or `consider` says: a list of matchers, or a list of such lists.

    A single matcher may stand as a bare text. Raises ValueError with a sentence.
    """
    if not isinstance(value, str | list | tuple):
        raise ValueError("must be a list of Alertmanager matchers, each a text, or of such lists")
    items = [value] if isinstance(value, str) else list(value)
    several = [isinstance(item, list | tuple) for item in items]
    if any(several) and not all(several):
        raise ValueError("has matchers beside lists of matchers; put each alternative into a list")
    alternatives = items if any(several) else [items] if items else []
    if [] in alternatives or () in alternatives:
        raise ValueError("has an empty list, which would match every alert; remove it")
    if max([len(alternatives), *map(len, alternatives)]) > MOST:
        raise ValueError(f"has more than {MOST} items in a list")
    return tuple(tuple(map(_matcher, alternative)) for alternative in alternatives)


def _matcher(item: Any) -> Matcher:
    if isinstance(item, Matcher):
        return item
    if not isinstance(item, str):
        raise ValueError(f"has {str(item)[:60]!r}, which is not a text; {_EXAMPLE}")
    return parse_matcher(item)


def all_match(matchers: Matchers, labels: Mapping[str, str]) -> bool:
    """Whether these labels fit every one of them."""
    return all(matcher.matches(labels) for matcher in matchers)


def written(alternatives: Alternatives) -> list[str] | list[list[str]]:
    """As `entry.yml` has it: a list of matchers, or of such lists where there are several."""
    texts = [[str(matcher) for matcher in matchers] for matchers in alternatives]
    return texts if len(texts) > 1 else [text for each in texts for text in each]


def in_words(alternatives: Alternatives) -> str:
    """For a table's cell: `a="1", b="2" or a="3"`."""
    return " or ".join(", ".join(map(str, matchers)) for matchers in alternatives)


def rank(matchers: Sequence[Matcher]) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Greater is more specific. First count the matchers that need their label, and what they say;
    what holds for a missing label too only shuts out, and comes last. A matcher that matches
    everything does not count at all."""
    needing = [matcher for matcher in matchers if not matcher.matches({})]
    others = [matcher for matcher in matchers if matcher.matches({})]
    says, shuts = (
        tuple(sorted(filter(None, map(specificity, some)), reverse=True))
        for some in (needing, others)
    )
    return len(needing), says, shuts


def parse_matcher(text: str) -> Matcher:
    """The matcher written as `text`, without braces; quotes round the value are optional.

    Raises ValueError with a sentence, and nothing else.
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:120]!r} is not a matcher; {_EXAMPLE}")
    label, op, value = found["label"], found["op"], found["value"]
    if value[:1] in ("=", "~"):
        raise ValueError(f"{text[:120]!r} has no such operator; use =, !=, =~ or !~")
    return Matcher(_unquoted(label), cast(Op, op), _unquoted(value))


def specificity(matcher: Matcher) -> int:
    """How much a matcher says: 3 equality, 2 pattern, 1 negation, 0 when it fits everything."""
    if matcher.op == "=~":
        return 0 if matcher.value == ".*" else 2
    return 3 if matcher.op == "=" else 1


def _unquoted(text: str) -> str:
    """`text` without its quotes; an unknown escape such as `\\.` stays as it is."""
    if text[:1] == '"':
        text = text[1:-1]
    return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[0]), text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:
    """A regular expression of RE2. Raises ValueError with a sentence."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        why = error.args[0].decode(errors="replace") if error.args else "unknown error"
        raise ValueError(
            f"{pattern[:120]!r} is not a regular expression of RE2 ({why}); "
            "look-around and back-references do not exist there"
        ) from None
