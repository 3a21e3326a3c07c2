"""What a condition means for an alert: matchers that hold for no alert for which it does not.

A label that the alert lacks makes each comparison with it fail, `!=` and `not` too; so ansible-
rulebook has it, while a matcher takes a missing label as empty. An empty label is a missing one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from runner.rulebook.condition import (
    Always,
    Both,
    Comparison,
    Defined,
    Either,
    Expression,
    Negated,
    Operand,
    Path,
    Search,
)
from runner.rulebook.pattern import re2_of
from runner.text.matcher import MOST, Alternatives, Matcher, Matchers, Op

_NEGATIONS = {"==": "!=", "in": "not in", "is": "is not"}
_OPPOSITE = _NEGATIONS | {negated: plain for plain, negated in _NEGATIONS.items()}
_COMPLEMENT: dict[str, Op] = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}
#: The label in which a matcher of the runner ignores case, unless its pattern says otherwise.
_FOLDED = "severity"


class Field(Enum):
    """What a path of the event may be, beside the name of a label."""

    STATUS = "status"  #: of the alert: firing or resolved


#: What a path stands for: a label's name, or a field. Raises ValueError with a predicate.
Reading = Callable[[Path], str | Field]


@dataclass
class Meaning:
    """One condition, read for alerts that fire."""

    reading: Reading
    of_resolved: bool = field(default=False, init=False)  #: whether a part is for resolved alerts
    narrower: bool = field(default=False, init=False)  #: whether less may match than there

    def alternatives(self, *any_of: Expression) -> Alternatives:
        """Conditions of which one must hold, as `match` has them. Raises ValueError with a
        predicate of the condition."""
        found = _tidied(one for each in any_of for one in self.holds(each))
        if () in found:
            raise ValueError("holds for every alert that fires; compare a label in it")
        if not found:
            raise ValueError(
                "holds for resolved alerts only, or for none; the runner ends the incident then, "
                "and runs nothing"
            )
        return found

    def holds(self, expression: Expression) -> Alternatives:
        """The same, none of them for never, and an empty one for always."""
        match expression:
            case Comparison(op="is not", right=Defined()):
                # The engine then waits until no event at all has it, and hands over none.
                raise ValueError("says only what is not defined, which is about no alert")
        return _tidied(self._either(expression, negated=False))

    def _either(self, node: Expression, *, negated: bool) -> list[Matchers]:
        """Alternatives of which one must hold: none for never, an empty one for always."""
        match node:
            case Always(holds):
                return [()] if holds is not negated else []
            case Negated(of):
                if negated:
                    raise ValueError("has a not inside of a not, which ansible-rulebook misreads")
                return self._either(of, negated=True)
            case Comparison():
                return self._compared(node, negated)
        left, right = (self._either(side, negated=negated) for side in (node.left, node.right))
        if isinstance(node, Both if negated else Either):
            found = [*left, *right]
        else:
            found = [(*one, *other) for one in left for other in right]
        if len(found) > MOST or any(len(one) > MOST for one in found):
            raise ValueError(f"needs more than {MOST} alternatives or matchers; split the rule")
        return found

    def _compared(self, node: Comparison, negated: bool) -> list[Matchers]:
        path, op, value = node.left, node.op, node.right
        if not isinstance(path, Path) and op in ("==", "!="):
            path, value = value, path
        if not isinstance(path, Path):
            if op == "==" and type(path) is type(value) and isinstance(value, int | str):
                return [()] if (path == value) is not negated else []  # `1 == 1`: every event
            raise ValueError("compares two fixed values")
        if isinstance(value, Path):
            raise ValueError(
                f"compares {path.written} with {value.written}; a matcher needs a value"
            )
        if op not in _OPPOSITE:
            raise ValueError(f"compares {path.written} by {op}, and a label is a text")
        if isinstance(value, Defined) and negated:
            raise ValueError(
                "has `defined` inside of a not; write `is not defined` or leave it out"
            )
        if isinstance(value, Search) and ("$" in value.pattern or "|" in value.pattern):
            self.narrower = True
        what = self.reading(path)
        op = _OPPOSITE[op] if negated else op
        if isinstance(what, Field):
            return self._status(path, op, value)
        return [_matchers(what, op, value)]

    def _status(self, path: Path, op: str, value: Operand) -> list[Matchers]:
        """An alert that reaches an entry fires, so its status is known."""
        if isinstance(value, Defined):
            return [()] if op == "is" else []
        wanted = value if isinstance(value, tuple) else (value,)
        if isinstance(value, Search) or not all(isinstance(each, str) for each in wanted):
            raise ValueError(f"compares {path.written} with more than a text")
        if ("firing" in wanted) is (op in ("==", "in")):
            return [()]
        self.of_resolved = True
        return []


def _matchers(label: str, op: str, value: Operand) -> Matchers:
    """What one comparison asks of the label."""
    there = Matcher(label, "!=", "")
    if isinstance(value, Defined):
        return (there,) if op == "is" else (Matcher(label, "=", ""),)
    if isinstance(value, Search):
        negated = op == "is not"
        try:
            pattern = re2_of(
                value.kind, value.pattern, ignorecase=value.ignorecase, negated=negated
            )
            return (_patterned(label, pattern, negated=negated), there)
        except ValueError as error:
            raise ValueError(f"has the pattern {value.pattern[:60]!r}, which {error}") from None
    if op == "!=" and value == "":
        return (there,)
    wanted = value if isinstance(value, tuple) else (value,)
    if (op in ("in", "not in")) is not isinstance(value, tuple):
        raise ValueError(f"compares the label {label} by {op} with {value!r}")
    for each in wanted:
        if not isinstance(each, str):
            kind = "null" if each is None else f"the {type(each).__name__} {each}"
            raise ValueError(f"compares the label {label} with {kind}; a label is a text")
        if not each:
            raise ValueError(
                f"compares the label {label} with an empty text; a label is never empty"
            )
    negated = op in ("!=", "not in")
    if len(wanted) == 1 and label != _FOLDED:
        return (Matcher(label, "!=" if negated else "=", wanted[0]), there)
    return (_patterned(label, "|".join(map(_literal, wanted)), negated=negated), there)


def _patterned(label: str, pattern: str, *, negated: bool) -> Matcher:
    exact = f"(?-i:{pattern})" if label == _FOLDED else pattern
    return Matcher(label, "!~" if negated else "=~", exact)


def _literal(text: str) -> str:
    """A pattern for the text itself."""
    return re.sub(r"[\\.+*?()|\[\]{}^$]", r"\\\g<0>", text)


def without(some: Alternatives, others: Alternatives) -> Alternatives:
    """What holds for the labels for which one of `some` does and none of `others`.

    Raises ValueError with a predicate where that takes too many alternatives.
    """
    found = some
    for other in others:
        rest: list[Matchers] = []
        for one in found:
            if apart((one,), (other,)):
                rest.append(one)
                continue
            more = ((*one, Matcher(m.label, _COMPLEMENT[m.op], m.value)) for m in other)
            rest += [matchers for matchers in more if not _impossible(matchers)]
        found = _tidied(rest)
        if len(found) > MOST or any(len(one) > MOST for one in found):
            raise ValueError(f"needs more than {MOST} alternatives or matchers beside other rules")
    return found


def apart(some: Alternatives, others: Alternatives) -> bool:
    """Whether no labels fit both, as far as single labels show it."""
    return all(_impossible((*one, *other)) for one in some for other in others)


def _impossible(matchers: Matchers) -> bool:
    """Whether one label would have to be two things."""
    values = {m.label: m.value for m in matchers if m.op == "="}
    against = {(m.label, _COMPLEMENT[m.op], m.value) for m in matchers}
    return any(
        (m.label, m.op, m.value) in against
        or (m.label in values and not m.matches({m.label: values[m.label]}))
        for m in matchers
    )


def _tidied(found: Iterable[Matchers]) -> Alternatives:
    """Each once, and none that only says more than another one."""
    once = list(dict.fromkeys(map(_tidy, found)))
    sets = [set(one) for one in once]
    return tuple(
        one for one, own in zip(once, sets, strict=True) if not any(each < own for each in sets)
    )


def _tidy(matchers: Iterable[Matcher]) -> Matchers:
    """Without repetitions, and without `x!=""` where another matcher needs the label anyway."""
    once = list(dict.fromkeys(matchers))
    needed = {
        one.label for one in once if not (one.op == "!=" and not one.value) and not one.matches({})
    }
    return tuple(
        one for one in once if not (one.op == "!=" and not one.value and one.label in needed)
    )
