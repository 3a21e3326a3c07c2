"""The cases that are shipped: every one is run, by the rules."""

from __future__ import annotations

import time

from runner.cases import file
from runner.cases.report import figures
from runner.cases.run import Tried, rules_alone, run
from tests.case_files import ROOT, SHIPPED, config, setting

CASES = [file.load(path) for path in file.find(config())]


def tried() -> list[Tried]:
    shared = setting()
    return [run(case, shared, rules_alone, decider="rules") for case in CASES]


def test_every_case_passes_by_rules_and_none_would_do_harm() -> None:
    found = tried()
    assert {each.case.name: each.failures for each in found if each.failures} == {}
    told = figures("rules", found)
    assert told.harmful == 0
    assert told.stolen == 0
    assert told.coverage == 1.0
    assert told.accuracy is not None and told.accuracy > 0.8


def test_there_are_enough_and_a_third_expects_that_nothing_is_done() -> None:
    assert len(CASES) >= 60
    assert sum(case.expect.nothing for case in CASES) * 3 >= len(CASES)
    assert sum(not case.expect.nothing for case in CASES) >= 20


def test_every_shipped_entry_has_cases() -> None:
    owners = {case.path.parent.parent.name for case in CASES}
    chosen = {entry.id for entry in SHIPPED.by_kind("remediation") if entry.match}
    assert owners == {*chosen, "collect_diagnostics", "tests"}
    assert not file.lint(config(), SHIPPED.entries)


def test_a_case_needs_nothing_of_the_project_but_its_catalog() -> None:
    assert not [case.name for case in CASES if not isinstance(case.inventory, dict)]


def test_names_and_titles_are_each_there_once() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert len({(case.path.parent, case.title) for case in CASES}) == len(CASES)
    assert ROOT in CASES[0].path.parents


def test_a_hundred_cases_take_rules_less_than_five_seconds_of_work() -> None:
    began = time.process_time()
    shared = setting()
    for path in file.find(config())[:20] * 5:
        run(file.load(path), shared, rules_alone, decider="rules")
    assert time.process_time() - began < 5
