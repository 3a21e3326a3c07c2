from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from runner.cases.report import figures, junit
from runner.cases.run import Tried
from runner.incident import Level
from tests.case_files import tried

NOTHING = {"entry": "none_of_these", "hosts": None, "level": None}


@pytest.fixture
def three(tmp_path: Path) -> list[Tried]:
    """One that is right, one that is wrong, one that is known to be wrong."""
    return [
        tried(tmp_path / "a"),
        tried(tmp_path / "b", expect=NOTHING),
        tried(tmp_path / "c", expect=NOTHING, misses={"rules": "They do not read."}),
    ]


def test_the_figures_count_cases_and_trials(three: list[Tried]) -> None:
    told = figures("rules", three)
    assert (told.cases, told.failed, told.known, told.nothing) == (3, 1, 1, 2)
    assert told.accuracy == pytest.approx(1 / 3)
    assert (told.acted, told.coverage) == (3, 1.0)
    assert told.acted_precision == pytest.approx(1 / 3)
    assert told.harmful == 0


def test_what_may_only_be_observed_did_not_act(tmp_path: Path) -> None:
    one = tried(tmp_path)
    low = replace(one, trials=(replace(one.trials[0], level=Level.DRY_RUN),))
    told = figures("rules", [low])
    assert (told.acted, told.acted_precision, told.coverage) == (0, None, 0.0)


def test_no_cases_have_no_shares() -> None:
    told = figures("model", [])
    assert (told.accuracy, told.coverage, told.agreement) == (None, None, None)


def test_junit_tells_failures_and_files_that_are_none(three: list[Tried]) -> None:
    root = ElementTree.fromstring(junit(three, ["x.yml: is not YAML\x1b"]))
    assert root.attrib["tests"] == "4"
    assert (root.attrib["failures"], root.attrib["errors"]) == ("1", "1")
    (failure,) = root.iter("failure")
    assert failure.attrib["message"] == "restart_service was chosen, none_of_these is right"
    assert next(root.iter("error")).attrib["message"] == "x.yml: is not YAML\\x1b"


def test_harm_is_counted_by_cases(tmp_path: Path) -> None:
    found = tried(tmp_path, expect={"level": "approve"})
    assert figures("rules", [found]).harmful == 1
