"""Is an alert located where a careful person would say? See tests/labels/README.md."""

from __future__ import annotations

import pytest

from tests import label_corpus


@pytest.mark.parametrize("name", label_corpus.NAMES)
def test_no_alert_is_located_at_a_wrong_host(name: str) -> None:
    found = list(label_corpus.answers("", name))
    assert [each for each in found if each.verdict == "wrong"] == []


def test_few_hosts_are_missed_and_a_person_is_asked_only_about_contradictions() -> None:
    counted = label_corpus.counted("")
    assert counted["host", "missed"] <= 9
    asked = [
        each
        for name in label_corpus.NAMES
        for each in label_corpus.answers("", name)
        if each.verdict == "asked"
    ]
    assert all(each.right is None for each in asked), "of these nobody can tell"
    assert counted["host", "right"] > 0.9 * sum(counted.values())
