"""Conditions of rulebooks as matchers: never wider, by the engine's own verdicts and by a model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.rulebook import condition
from runner.rulebook.condition import Path as EventPath
from runner.rulebook.condition import filled_in, parse
from runner.rulebook.file import Rule
from runner.rulebook.matching import Field, Meaning
from runner.rulebook.order import Before
from runner.rulebook.pattern import re2_of
from runner.text.matcher import Alternatives, all_match, parse_alternatives, written

VERDICTS = json.loads((Path(__file__).parents[1] / "rulebooks/verdicts.json").read_text())
LINE_ENDS = re.compile("[\n\r\x85\u2028\u2029]")


def reading(path: EventPath) -> str | Field:
    if path.parts == ("alert", "status"):
        return Field.STATUS
    if len(path.parts) == 3 and path.parts[:2] == ("alert", "labels"):
        return str(path.parts[2])
    raise ValueError(f"reads {path.written}")


def matchers(text: str, **variables: Any) -> Alternatives:
    return Meaning(reading).alternatives(parse(text, variables))


def fires(alternatives: Alternatives, labels: Mapping[str, str]) -> bool:
    return any(all_match(one, labels) for one in alternatives)


# The engine's own verdicts


def test_no_entry_matches_what_ansible_rulebook_would_not_run_for() -> None:
    """Some 200 conditions and 60 alerts, as ansible-rulebook 1.3.2 decided them.

    Less is matched only where `$` meets a line end.
    """
    read = 0
    for text, fired in VERDICTS["conditions"]:
        try:
            alternatives = matchers(text)
        except ValueError:
            continue
        read += 1
        for number, labels in enumerate(VERDICTS["alerts"]):
            ours, theirs = fires(alternatives, labels), number in fired
            assert not ours or theirs, (text, labels, written(alternatives))
            if theirs and not ours:
                assert "$" in text and any(map(LINE_ENDS.search, labels.values())), (text, labels)
    assert read > 120


def test_what_holds_always_or_never_there_is_refused() -> None:
    for text, fired in VERDICTS["conditions"]:
        try:
            matchers(text)
        except ValueError as error:
            if "every alert that fires" in str(error):
                assert len(fired) == len(VERDICTS["alerts"])
            elif "resolved alerts only" in str(error):
                assert not fired


# The same against a small model of three values

LABELS = st.sampled_from(["a", "severity", "b c"])
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="'{"), max_size=6)
VALUES = WORDS.filter(bool)


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[str, Any]:
    """(text, what it says of labels: True, False, or None where a label is missing)."""
    label, op = draw(LABELS), draw(st.sampled_from(["==", "!=", "in", "not in", "match", "search"]))
    path = f"event.alert.labels['{label}']"
    if op in ("in", "not in"):
        values = draw(st.lists(VALUES, min_size=1, max_size=3))
        listed = ", ".join(f"'{value}'" for value in values)
        known = [unescaped(value) for value in values]
        return f"{path} {op} [{listed}]", (label, lambda v: (v in known) is (op == "in"))
    value = draw(VALUES)
    known_one = unescaped(value)
    if op in ("match", "search"):
        literal = re.sub(r"[^A-Za-z0-9]", lambda c: f"\\{c[0]}" if c[0].isascii() else c[0], value)
        found = str.startswith if op == "match" else str.__contains__
        return f"{path} is {op}('{literal}')", (label, lambda v: found(v, value))
    return f"{path} {op} '{value}'", (label, lambda v: (v == known_one) is (op == "=="))


def unescaped(text: str) -> str:
    """As the language reads a text: four escapes, and no more."""
    return re.sub(r"\\([tnrf])", lambda c: {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}[c[1]], text)


def expressions(depth: int) -> st.SearchStrategy[tuple[str, Any]]:
    if not depth:
        return comparisons()
    below = expressions(depth - 1)
    joined = st.tuples(below, st.sampled_from(["and", "or"]), below).map(
        lambda t: (f"({t[0][0]} {t[1]} {t[2][0]})", (t[1], t[0][1], t[2][1]))
    )
    return st.one_of(comparisons(), joined)


def holds(node: Any, labels: Mapping[str, str], *, negated: bool = False) -> bool:
    if len(node) == 3:
        both = (holds(side, labels, negated=negated) for side in node[1:])
        return all(both) if (node[0] == "and") is not negated else any(both)
    label, says = node
    return label in labels and says(labels[label]) is not negated


@given(
    expressions(2),
    st.booleans(),
    st.lists(st.dictionaries(LABELS, VALUES, max_size=3), min_size=1, max_size=8),
    st.data(),
)
def test_matchers_hold_for_the_same_labels_as_the_condition(
    expression: tuple[str, Any], negated: bool, alerts: list[dict[str, str]], data: st.DataObject
) -> None:
    text, node = expression
    whole = f"not {text}" if negated else text
    alternatives = matchers(whole)
    words = re.findall("'([^']+)'", text)
    alerts += [{label: unescaped(data.draw(st.sampled_from(words))) for label in ("a", "severity")}]
    for labels in alerts:
        assert fires(alternatives, labels) is holds(node, labels, negated=negated), (whole, labels)
    assert parse_alternatives(written(alternatives)) == alternatives


@given(
    st.lists(expressions(1), min_size=2, max_size=4),
    st.lists(st.dictionaries(LABELS, VALUES, max_size=3), max_size=6),
    st.data(),
)
def test_of_several_rules_only_the_first_that_holds_fires(
    rules: list[tuple[str, Any]], alerts: list[dict[str, str]], data: st.DataObject
) -> None:
    before = Before(reading, {})
    entries = []
    for number, (text, _) in enumerate(rules):
        entries.append(before.rest(matchers(text)))
        before.add(Rule(name=f"rule {number}", condition=text, action={"debug": None}))
    words = re.findall("'([^']+)'", " ".join(text for text, _ in rules))
    value = st.sampled_from(words).map(unescaped)
    alerts += [data.draw(st.dictionaries(LABELS, value, max_size=3)) for _ in range(3)]
    for labels in alerts:
        fired = [number for number, (_, node) in enumerate(rules) if holds(node, labels)]
        matched = [number for number, each in enumerate(entries) if fires(each, labels)]
        assert matched == fired[:1], (rules, labels)


@given(
    st.text(max_size=60)
    | st.text(st.sampled_from("event.alt'\"()[]=!<is notadr,1|\\ "), max_size=80)
)
def test_any_text_is_read_or_refused_in_a_sentence(text: str) -> None:
    for read in (matchers, lambda it: filled_in(it, {})):
        try:
            read(text)
        except ValueError as error:
            assert str(error)


@given(
    st.text(st.sampled_from("ab.|*+?()[]{}^$\\dws-,1k\n"), max_size=12), st.sampled_from("ab k1\n-")
)
def test_any_pattern_is_translated_or_refused(pattern: str, value: str) -> None:
    for kind, negated in (("match", False), ("search", True)):
        try:
            made = re2_of(kind, pattern, ignorecase=True, negated=negated)
        except ValueError:
            continue
        assert isinstance(made, str)


# Examples


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('event.alert.labels.job == "a" and event.alert.status == "firing"', ['job="a"']),
        ("event.alert.labels.x == firing2", ['x="firing2"']),
        ('event.alert.labels["a-b"] != "c"', ['a-b!="c"', 'a-b!=""']),
        ('not event.alert.labels.x == "a"', ['x!="a"', 'x!=""']),
        ('event.alert.labels.x in ["a.b", "c"]', [r'x=~"a\\.b|c"']),
        ('event.alert.labels.severity == "critical"', ['severity=~"(?-i:critical)"']),
        ("event.alert.labels.x is match('web.*')", ['x=~"(?s)web.*"']),
        ("event.alert.labels.x is search('^db$')", ['x=~"db"']),
        ("event.alert.labels.x is regex('k', ignorecase=true)", ['x=~"(?s).*[kK].*"']),
        ("event.alert.labels.x is match('.*')", ['x=~"(?s).*"', 'x!=""']),
        ("event.alert.labels.x is defined and event.alert.labels.y is not defined",
         ['x!=""', 'y=""']),
        ("event.alert.labels.x == vars.team.name", ['x="shop"']),
        ("event.alert.labels.x in vars.teams", ['x=~"shop|web"']),
        ("events.first << event.alert.labels.x == 'a'", ['x="a"']),
    ],
)  # fmt: skip
def test_it_says_the_same_in_matchers(text: str, expected: list[str]) -> None:
    assert written(matchers(text, team={"name": "shop"}, teams=["shop", "web"])) == expected


def test_and_and_or_have_one_rank() -> None:
    """`a or b and c` is `(a or b) and c` there."""
    x, y, z = (f'event.alert.labels.{name} == "1"' for name in "xyz")
    assert matchers(f"{x} or {y} and {z}") == matchers(f"({x} or {y}) and {z}")
    assert written(matchers(f"{x} or {y} and {z}")) == [['x="1"', 'z="1"'], ['y="1"', 'z="1"']]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("true", "every alert"),
        ("1 == 1", "every alert"),
        ("1 == 2", "or for none"),
        ("1 < 2", "two fixed values"),
        ('event.alert.status == "resolved"', "resolved alerts only"),
        ("event.alert.labels.code == 500", "with the int 500"),
        ("event.alert.labels.code > 500", "by >"),
        ("event.alert.labels.x == true", "with the bool True"),
        ("event.alert.labels.x != null", "with null"),
        ('event.alert.labels.x == ""', "an empty text"),
        ('event.alert.labels.x in ["a", 5]', "with the int 5"),
        ("event.alert.labels.x == event.alert.labels.y", "a matcher needs a value"),
        ('event.alert.labels.x contains "a"', "by contains"),
        ("event.alert.labels.x is select('==', 'a')", "looks into a list"),
        ("event.alert.labels.x is not defined", "only what is not defined"),
        ("not (event.alert.labels.x is defined)", "inside of a not"),
        ('not (not (event.alert.labels.x == "a"))', "a not inside of a not"),
        ("event.alert.labels.x is match('a', multiline=true)", "the option multiline"),
        ("event.alert.labels.x is match('(?=a)')", "begins with (?"),
        (r"event.alert.labels.x is match('\bdb')", r"has \b"),
        ("event.alert.labels.x is match('[a-z&&[^b]]')", "brackets"),
        ("event.alert.labels.x is match('a++')", "repeats"),
        ("event.alert.labels.x is match('a^')", "in its middle"),
        ("event.alert.labels.x is match('[!-/]')", "neither first nor last"),
        ("event.alert.labels.x is match('(a{900}){900}')", "RE2"),
        ("event.alert.labels.x is not match('a|b')", "only the first"),
        ("event.alert.labels.x is not search('a$')", "shut out more"),
        ("event.alert.labels.x is not search('a.b')", "shut out more"),
        ("event.alert.labels.x == vars.gone", "--vars"),
        ("event.alert.labels.x == a_b", "cannot be read from"),
        ("event.alert.labels.x == 'a' and", "its end where a value"),
        ("event.alert.labels.x == 'a')", "where its end should stand"),
        ("(event.alert.labels.x == 'a'", "where ) should stand"),
        ("event.alert.labels.x == 'a' == 'b'", "more than two"),
        ("event.alert.labels.x", "says nothing of"),
        ("(" * 40, "nested"),
        ("not " * 3000 + "true", "longer"),
        (" and ".join(f"(event.alert.labels.a == '{n}' or event.alert.labels.b == '{n}')"
                      for n in range(9)), "more than 64"),
    ],
)  # fmt: skip
def test_what_has_no_exact_counterpart_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        matchers(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{{ team }}", "shop"),
        ("{{ of.it }}", 5),
        ("{{ event.alert.labels.job }}", ("alert", "labels", "job")),
        ("{{event.alert['labels']['a b']}}", ("alert", "labels", "a b")),
    ],
)
def test_a_template_of_an_action_is_a_path_or_a_variable(text: str, expected: Any) -> None:
    found = filled_in(text, {"team": "shop", "of": {"it": 5}})
    assert (found.parts if isinstance(found, condition.Path) else found) == expected


@pytest.mark.parametrize(
    "text",
    ["{{ a | default('b') }}", "x {{ a }}", "{{ event.alert.labels.x }}y", "{% if a %}{% endif %}",
     "{{ event.alert.labels.x.split(':')[0] }}", "{{ gone }}", "{{ }}", "{{", "{{ {{ a }} }}"],
)  # fmt: skip
def test_any_other_template_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fills in|uses the variable"):
        filled_in(text, {"a": "b"})
