"""What a condition means for an alert: matchers that hold for no alert for which it does not.

A label that the alert lacks makes each comparison with it fail, `!=` and `not` too; so ansible-
rulebook has it, while a matcher takes a missing label as empty. An empty label is a missing one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from runner.catalog.matcher import MOST, Alternatives, Matcher, Matchers
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

_NEGATIONS = {"==": "!=", "in": "not in", "is": "is not"}
_OPPOSITE = _NEGATIONS | {negated: plain for plain, negated in _NEGATIONS.items()}
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

    def alternatives(self, expression: Expression) -> Alternatives:
        """The condition as `match` has it. Raises ValueError with a predicate of the condition."""
        match expression:
            case Comparison(op="is not", right=Defined()):
                # The engine then waits until no event at all has it, and hands over none.
                raise ValueError("says only what is not defined, which is about no alert")
        found = self._either(expression, negated=False)
        if () in found:
            raise ValueError("holds for every alert that fires; compare a label in it")
        if not found:
            raise ValueError(
                "holds for resolved alerts only, or for none; the runner ends the incident then, "
                "and runs nothing"
            )
        return tuple(dict.fromkeys(map(_tidy, found)))

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


def _tidy(matchers: Iterable[Matcher]) -> Matchers:
    """Without repetitions, and without `x!=""` where another matcher needs the label anyway."""
    once = list(dict.fromkeys(matchers))
    needed = {
        one.label for one in once if not (one.op == "!=" and not one.value) and not one.matches({})
    }
    return tuple(
        one for one in once if not (one.op == "!=" and not one.value and one.label in needed)
    )
