"""The rules: the most specific entry whose conditions hold, and never a guess."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.catalog.entry import Entry
from runner.decide.rules import decide
from runner.incident import Decision

LABELS = {"alertname": "Down", "severity": "page", "instance": "web1:9100"}
#: What the entries of these tests match by.
LABELS |= {"x": "1", "y": "2", "a": "1", "b": "1"}


def _entry(id: str, *match: str, when: tuple[str, ...] = ()) -> Entry:
    content: dict[str, Any] = {"title": "T", "description": "D", "role": "r", "match": list(match)}
    content["when"] = [{"promql": query} for query in when]
    return Entry.model_validate(content | {"id": id, "folder": Path(id)})


def _decide(*entries: Entry, truth: bool | None = True, hosts: tuple[str, ...] = ()) -> Decision:
    return decide(LABELS, entries, lambda _: truth, hosts=hosts)


def test_the_only_entry_is_chosen_with_its_reason() -> None:
    decision = _decide(_entry("a", 'alertname="Down"'))
    assert (decision.decider, decision.entry) == ("rules", "a")
    assert decision.reason == 'a matches by alertname="Down".'
    assert decision.alternatives == ()


@pytest.mark.parametrize(
    ("winner", "loser"),
    [
        (_entry("a", 'x="1"', 'y="2"'), _entry("b", 'x="1"')),
        (_entry("a", 'x="1"', 'y=~"2|3"'), _entry("b", 'x="1"')),
        (_entry("a", 'x="1"'), _entry("b", 'x=~"1|2"')),
        (_entry("a", 'x=~"1|2"'), _entry("b", 'x!="3"')),
        (_entry("a", 'x="1"', 'z!="2"'), _entry("b", 'x="1"', 'z=~".*"')),
        (_entry("a", 'x="1"', when=("up",)), _entry("b", 'x="1"')),
        (_entry("a", 'x="1"', 'y="2"'), _entry("b", 'x="1"', when=("up",))),
    ],
)
def test_the_more_specific_entry_wins(winner: Entry, loser: Entry) -> None:
    decision = _decide(loser, winner)
    assert decision.entry == "a"
    assert decision.alternatives == (("b", "it is less specific than a"),)


def _either(id: str, *match: list[str], consider: tuple[str, ...] = ()) -> Entry:
    content = {"title": "T", "description": "D", "role": "r", "match": match, "consider": consider}
    return Entry.model_validate(content | {"id": id, "folder": Path(id)})


def test_the_alternative_that_matched_counts_and_is_named() -> None:
    two = _either("two", ['alertname="Up"', 'x="1"', 'severity="page"'], ['alertname="Down"'])
    decision = _decide(two)
    assert decision.entry == "two"
    assert decision.reason == ('two matches by alertname="Down" (alternative 2 of its `match`).')
    # What makes its other alternative specific does not count: this one is as good.
    assert _decide(two, _entry("one", 'alertname="Down"')).entry is None
    more = _entry("more", 'alertname="Down"', 'severity="page"')
    assert _decide(two, more).entry == "more"


def test_of_two_alternatives_that_match_the_most_specific_one_counts() -> None:
    two = _either("two", ['alertname=~"D.*"'], ['alertname="Down"', 'severity="page"'])
    assert _decide(two, _entry("one", 'alertname="Down"')).entry == "two"


def test_what_is_only_considered_is_never_chosen_and_makes_no_tie() -> None:
    wide = _either("wide", consider=('alertname="Down"', 'severity="page"'))
    assert wide.considered(LABELS) and not wide.eligible(LABELS)
    eligible = [each for each in (wide, _entry("a", 'alertname="Down"')) if each.eligible(LABELS)]
    assert _decide(*eligible).entry == "a"
    both = _either("both", ['alertname="Down"'], consider=('alertname!=""',))
    assert both.eligible(LABELS) and not both.considered(LABELS)


def test_a_tie_is_for_a_person() -> None:
    decision = _decide(_entry("b", 'x="1"'), _entry("a", 'y="2"'), _entry("c", 'z!="1"'))
    assert decision.entry is None
    assert decision.confidence == 0
    assert "a and b match equally well" in decision.reason
    assert dict(decision.alternatives)["c"] == "it is less specific than a and b"


def test_an_entry_whose_condition_is_false_does_not_fit() -> None:
    decision = _decide(_entry("a", 'x="1"', when=("up == 0",)), _entry("b", 'x!="1"'), truth=False)
    assert decision.entry == "b"
    assert decision.alternatives == (("a", "up == 0 does not hold"),)


def test_an_entry_whose_condition_is_not_known_does_not_fit() -> None:
    """Invariant 10: missing data is unknown, not good."""
    decision = _decide(_entry("a", 'x="1"', when=("up == 0",)), truth=None)
    assert decision.entry is None
    assert decision.alternatives == (("a", "cannot tell whether up == 0 holds"),)


def test_that_nothing_fits_is_a_result_of_its_own() -> None:
    assert _decide().reason == "No entry of the catalog matches these labels."
    decision = _decide(_entry("a", 'x="1"', when=("up",)), truth=False)
    assert (decision.entry, decision.reason) == (None, "None of 1 eligible entries matches.")


def _asked(query: str, hosts: tuple[str, ...], labels: dict[str, str]) -> list[str]:
    asked: list[str] = []
    entry = _entry("a", 'x="1"', when=(query,))
    decide(labels, [entry], lambda text: asked.append(text) or True, hosts=hosts)
    return asked


def test_labels_and_hosts_are_filled_into_conditions() -> None:
    query = 'up{instance="$instance",node="$host"}'
    assert _asked(query, ("w1", "w2"), LABELS) == [
        'up{instance="web1:9100",node="w1"}',
        'up{instance="web1:9100",node="w2"}',
    ]
    assert _asked("up", ("w1", "w2"), LABELS) == ["up"]


def test_further_values_are_filled_but_never_the_host() -> None:
    asked: list[str] = []
    entry = _entry("a", 'x="1"', when=('up{a="$extra"}', 'up{a="$host"}'))
    values = {"extra": "e", "host": "from-outside"}
    decide({}, [entry], lambda text: asked.append(text) or True, values=values)
    assert asked == ['up{a="e"}']


def test_a_hostile_label_stays_inside_its_quotes() -> None:
    """Invariant 8: no label can make a condition true that is not."""
    labels = {"instance": '"} or vector(1) # '}
    assert _asked('up{i="$instance"} == 0', (), labels) == [
        'up{i="\\"} or vector(1) # "} == 0',
    ]


def test_a_condition_on_a_missing_label_or_host_is_not_known() -> None:
    for query in ('up{a="$nothing"}', 'up{a="$host"}'):
        assert _asked(query, (), {"host": "from-outside"}) == []
        decision = _decide(_entry("a", 'x="1"', when=(query,)))
        assert "its condition is unknown" in decision.alternatives[0][1]


MATCHERS = ['a="1"', 'b="1"', 'a=~"1|2"', 'b!="2"', 'c=~".*"']
ROWS = st.tuples(
    st.lists(st.sampled_from(MATCHERS), max_size=3),
    st.sampled_from([(), ("t",), ("f",), ("u",)]),
)
ENTRIES = st.lists(ROWS, max_size=6).map(
    lambda rows: [_entry(f"e{n}", *match, when=when) for n, (match, when) in enumerate(rows)]
)


@given(ENTRIES.flatmap(lambda entries: st.tuples(st.just(entries), st.permutations(entries))))
def test_the_order_of_the_catalog_does_not_matter(pair: tuple[list[Entry], list[Entry]]) -> None:
    truth = {"t": True, "f": False, "u": None}
    first, second = (decide(LABELS, entries, truth.__getitem__) for entries in pair)
    assert first == second


@given(ENTRIES)
def test_every_other_entry_is_told_with_its_reason(entries: list[Entry]) -> None:
    decision = decide(LABELS, entries, {"t": True, "f": False, "u": None}.__getitem__)
    told = {id for id, why in decision.alternatives if why}
    assert told == {entry.id for entry in entries} - {decision.entry}
