"""Which labels the series of a PromQL expression may have: told from its text alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*)"""
    r"""|(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)"""
    r"""|(?P<number>\.?[0-9][0-9A-Za-z_.]*)"""
    r"""|(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)"""
    r"""|(?P<sign>=~|!~|!=|==|<=|>=|[-+*/%^<>=(){}\[\],@:])""",
    re.DOTALL,
)
#: Operators by how strongly they bind, the weakest first.
_BINDS = [
    {"or"},
    {"and", "unless"},
    {"==", "!=", "<", ">", "<=", ">="},
    {"+", "-"},
    {"*", "/", "%", "atan2"},
    {"^"},
]
_AGGREGATE = frozenset(
    "sum min max avg group stddev stdvar count count_values quantile".split()
)  #: leave the labels of `by` only
_CHOOSE = frozenset("topk bottomk limitk limit_ratio".split())  #: leave series as they are
_NUMBERS = frozenset({"inf", "nan"})
_SCALARS = frozenset({"scalar", "time", "pi"})
_CALENDAR = frozenset(
    "day_of_month day_of_week day_of_year days_in_month hour minute month year vector".split()
)
MAX_DEPTH = 40  #: brackets inside one another


@dataclass(frozen=True)
class SeriesLabels:
    """The labels that a series may have: all but `without`, or of these only `names`."""

    names: frozenset[str] | None = None  #: None: any
    without: frozenset[str] = frozenset()
    equal: frozenset[str] = frozenset()  #: of a selector: labels that it asks for by equality

    def may_have(self, label: str) -> bool:
        return (self.names is None or label in self.names) and label not in self.without

    def only(self, names: frozenset[str]) -> SeriesLabels:
        return SeriesLabels(names=frozenset(filter(self.may_have, names)))

    def less(self, names: frozenset[str]) -> SeriesLabels:
        return replace(self, without=self.without | names, equal=frozenset())

    def more(self, names: frozenset[str]) -> SeriesLabels:
        kept = None if self.names is None else self.names | names
        return SeriesLabels(names=kept, without=self.without - names)

    def both(self, other: SeriesLabels) -> SeriesLabels:
        """What either of them may have."""
        if self.names is None or other.names is None:
            missing = {*self.without, *other.without}
            lost = frozenset(n for n in missing if not (self.may_have(n) or other.may_have(n)))
            return SeriesLabels(without=lost)
        have = filter(self.may_have, self.names), filter(other.may_have, other.names)
        return SeriesLabels(names=frozenset(have[0]) | frozenset(have[1]))


_NONE = SeriesLabels(names=frozenset())


def series_labels(promql: str) -> SeriesLabels:
    """The labels that this expression's series may have. Raises ValueError for what is none."""
    reader = _Reader(_tokens(promql))
    found = reader.expression()
    if reader.next is not None:
        raise ValueError(f"{reader.next[:40]!r} is not expected there")
    return found or _NONE


def _tokens(promql: str) -> list[str]:
    found, position = [], 0
    while position < len(promql):
        match = _TOKEN.match(promql, position)
        if match is None:
            raise ValueError(f"{promql[position : position + 10]!r} is not PromQL")
        position = match.end()
        if match.lastgroup != "skip":
            found.append(match[0])
    return found


class _Reader:
    """Recursive descent; None stands for a scalar."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def next(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def take(self) -> str:
        if (token := self.next) is None:
            raise ValueError("the expression ends early")
        self._at += 1
        return token

    def took(self, *wanted: str) -> bool:
        if self.next is not None and self.next.lower() in wanted:
            self._at += 1
            return True
        return False

    def expect(self, wanted: str) -> None:
        if not self.took(wanted):
            raise ValueError(f"{wanted!r} is missing")

    def expression(self, binds: int = 0) -> SeriesLabels | None:
        if binds == len(_BINDS):
            return self.unary()
        left = self.expression(binds + 1)
        while self.next is not None and self.next.lower() in _BINDS[binds]:
            operator = self.take().lower()
            left = self.joined(operator, left, binds)
        return left

    def joined(self, operator: str, left: SeriesLabels | None, binds: int) -> SeriesLabels | None:
        """What an operator with its matching leaves."""
        self.took("bool")
        on = ignoring = None
        grouped, extra = "", frozenset[str]()
        if self.took("on"):
            on = self.names()
        elif self.took("ignoring"):
            ignoring = self.names()
        for side in ("group_left", "group_right"):
            if self.took(side):
                grouped, extra = side, self.names() if self.next == "(" else frozenset()
        right = self.expression(binds + 1)
        if operator == "or":
            return left.both(right) if left and right else left or right
        if operator in ("and", "unless"):
            return left
        if left is None or right is None:
            return left or right
        if grouped:
            return (left if grouped == "group_left" else right).more(extra)
        if on is not None:
            return left.only(on)
        # Both sides have the same labels then, but for those that are ignored.
        kept = left if right.names is None else left.only(right.names)
        return kept.less(right.without | (ignoring or frozenset()))

    def unary(self) -> SeriesLabels | None:
        while self.took("-", "+"):
            pass
        found = self.primary()
        while self.next in ("[", "@") or (self.next or "").lower() == "offset":
            self.modifier()
        return found

    def modifier(self) -> None:
        """A range, a subquery, `offset` or `@`: the labels stay."""
        token = self.take().lower()
        if token == "[":
            while self.take() != "]":
                pass
            return
        self.took("-", "+")
        if self.take().lower() in ("start", "end"):
            self.expect("(")
            self.expect(")")

    def primary(self) -> SeriesLabels | None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        try:
            return self.inside()
        finally:
            self._depth -= 1

    def inside(self) -> SeriesLabels | None:
        token = self.take()
        if token == "(":
            found = self.expression()
            self.expect(")")
            return found
        if token == "{":
            return self.selector()
        if token[0] in "\"'`.0123456789" or token.lower() in _NUMBERS:
            return None
        if not re.match(r"[A-Za-z_:]", token):
            raise ValueError(f"{token!r} is not expected there")
        name = token.lower()
        if name in _AGGREGATE | _CHOOSE and (self.next or "").lower() in ("(", "by", "without"):
            return self.aggregation(name)
        if self.took("("):
            return self.function(name)
        return self.selector() if self.took("{") else SeriesLabels()

    def selector(self) -> SeriesLabels:
        """The rest of `{…}`; a label asked for by equality with a text is certain."""
        equal = set()
        while not self.took("}"):
            label = self.take()
            if self.next in ("=", "!=", "=~", "!~"):
                operator, value = self.take(), self.take()
                if operator == "=" and len(value) > 2:
                    equal.add(label)
            self.took(",")
        return SeriesLabels(equal=frozenset(equal) - {"__name__"})

    def arguments(self) -> list[tuple[SeriesLabels | None, str]]:
        """Each with its first token, up to the closing bracket."""
        found = []
        while not self.took(")"):
            first = self.next or ""
            found.append((self.expression(), first))
            if not self.took(","):
                self.expect(")")
                break
        return found

    def aggregation(self, name: str) -> SeriesLabels:
        by, without = self.grouping()
        self.expect("(")
        arguments = self.arguments()
        if by is None and without is None:
            by, without = self.grouping()
        vector = next((labels for labels, _ in reversed(arguments) if labels is not None), _NONE)
        if name in _CHOOSE:
            return replace(vector, equal=frozenset())
        kept = vector.less(without) if without is not None else vector.only(by or frozenset())
        if name == "count_values" and arguments:
            return kept.more(frozenset({arguments[0][1].strip("\"'`")}))
        return kept

    def grouping(self) -> tuple[frozenset[str] | None, frozenset[str] | None]:
        """(labels of `by`, labels of `without`)."""
        if self.took("by"):
            return self.names(), None
        if self.took("without"):
            return None, self.names()
        return None, None

    def function(self, name: str) -> SeriesLabels | None:
        arguments = self.arguments()
        vectors = [labels for labels, _ in arguments if labels is not None]
        if name in _SCALARS:
            return None
        if name in ("absent", "absent_over_time"):
            return SeriesLabels(names=vectors[0].equal if vectors else frozenset())
        if name in _CALENDAR and not vectors:
            return _NONE
        if not vectors:
            return None
        if name in ("label_replace", "label_join") and len(arguments) > 1:
            return vectors[0].more(frozenset({arguments[1][1].strip("\"'`")}))
        return replace(vectors[0], equal=frozenset())

    def names(self) -> frozenset[str]:
        self.expect("(")
        found = set()
        while not self.took(")"):
            found.add(self.take().strip("\"'`"))
            self.took(",")
        return frozenset(found)
