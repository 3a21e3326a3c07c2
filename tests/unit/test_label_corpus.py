"""Is an alert located where a careful person would say? See tests/labels/README.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import label_corpus
from tests.figures_page import hold, row

PAGE = Path(__file__).parents[2] / "docs" / "hosts.md"


@pytest.mark.parametrize("name", label_corpus.NAMES)
def test_no_alert_means_a_wrong_host_unit_or_file_system(name: str) -> None:
    found = list(label_corpus.answers("", name))
    assert [each for each in found if each.verdict == "wrong"] == []
    assert [each for each in found if each.verdict == "missed"] == []


def test_the_page_says_how_good_it_is() -> None:
    """What is held out is counted, and not named: nobody tunes on it."""
    verdicts = ("right", "asked", "missed", "wrong")
    rows = row("label sets", "answer", *verdicts) + row(*["---"] * 6)
    for folder in ("", "heldout"):
        counted = label_corpus.counted(folder)
        for what in ("host", "unit", "mountpoint"):
            numbers = [counted[what, verdict] for verdict in verdicts]
            rows += row(f"`tests/{folder or 'labels'}`", what, *numbers)
        assert not any(counted[what, "wrong"] for what in ("host", "unit", "mountpoint"))
    hold(PAGE, "labels", rows)


def test_a_person_is_asked_only_about_contradictions() -> None:
    asked = [
        each
        for name in label_corpus.NAMES
        for each in label_corpus.answers("", name)
        if each.verdict == "asked"
    ]
    assert all(each.right is None for each in asked), "of these nobody can tell"
