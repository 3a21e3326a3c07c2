"""The form of the labelled alerts of tests/packs and of the label sets of tests/labels."""

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

TESTS = Path(__file__).parents[1]
PACKS = sorted(path.stem for path in (TESTS / "packs").glob("*.yml") if "." not in path.stem)
LABELS = sorted(path.stem for path in (TESTS / "labels").glob("*.yml"))
FOLDERS = ["", "heldout"]
PER_PACK = [(folder, name) for folder in FOLDERS for name in PACKS]
PER_INVENTORY = [(folder, name) for folder in FOLDERS for name in LABELS]
SUBJECTS = """
    node systemd process blackbox certificates postgresql mysql redis nginx haproxy rabbitmq
    prometheus etcd
"""
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@cache
def read(*path: str) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(TESTS.joinpath(*path).read_text(), loader)


def rules(folder: str, name: str) -> list[dict[str, Any]]:
    return [
        rule for group in read(folder, "packs", f"{name}.yml")["groups"] for rule in group["rules"]
    ]


def answers(folder: str, name: str) -> list[dict[str, Any]]:
    return list(read(folder, "packs", f"{name}.answers.yml")["answers"])


def cases(folder: str, name: str) -> list[dict[str, Any]]:
    return list(read(folder, "labels", f"{name}.yml")["cases"])


def entries() -> set[str]:
    listed = (TESTS / "packs" / "README.md").read_text().split("\nEntries: ")[1].split(".")[0]
    return set(re.split(r",\s+", listed))


def hosts_of(group: dict[str, Any]) -> set[str]:
    below = (group.get("children") or {}).values()
    return {str(host) for host in group.get("hosts") or {}}.union(
        *(hosts_of(child) for child in below)
    )


def assert_labels(labels: dict[str, Any]) -> None:
    assert all(
        LABEL_NAME.fullmatch(name) and isinstance(value, str) for name, value in labels.items()
    ), labels
    assert {"alertname", "severity"} <= labels.keys(), labels


def test_every_subject_has_a_pack() -> None:
    assert set(PACKS) == set(SUBJECTS.split())


@pytest.mark.parametrize(("folder", "name"), PER_PACK)
def test_every_alert_has_its_answer_at_the_same_place(folder: str, name: str) -> None:
    asked = [(rule["alert"], rule["labels"]["severity"]) for rule in rules(folder, name)]
    assert [
        (answer["alert"], answer["labels"]["severity"]) for answer in answers(folder, name)
    ] == asked
    assert all(rule["expr"] and rule["annotations"]["summary"] for rule in rules(folder, name))


@pytest.mark.parametrize(("folder", "name"), PER_PACK)
def test_an_answer_names_entries_a_reason_and_the_labels_that_fire(folder: str, name: str) -> None:
    fixing = entries() - {"collect_diagnostics"}
    for answer in answers(folder, name):
        assert answer.keys() == {"alert", "right", "part", "why", "public", "labels"}
        assert_labels(answer["labels"])
        assert answer["labels"]["alertname"] == answer["alert"]
        assert set(answer["right"]) <= fixing, answer
        assert answer["why"] and isinstance(answer["public"], bool)
        assert answer["part"] is None or answer["right"], answer


@pytest.mark.parametrize(("folder", "name"), PER_PACK)
def test_the_hash_of_its_name_says_where_an_alert_lies(folder: str, name: str) -> None:
    for answer in answers(folder, name):
        first = hashlib.sha256(answer["alert"].lower().encode()).digest()[0]
        assert (first % 3 == 0) == (folder == "heldout"), answer["alert"]


@pytest.mark.parametrize(("folder", "name"), PER_INVENTORY)
def test_a_label_set_has_an_answer_that_its_inventory_knows(folder: str, name: str) -> None:
    asked = read(folder, "labels", f"{name}.yml")["inventory"]
    known = hosts_of(read("labels", "inventories", f"{asked}.yml")["all"])
    for case in cases(folder, name):
        assert (
            {"id", "labels", "host"}
            <= case.keys()
            <= {"id", "labels", "host", "unit", "mountpoint", "why"}
        )
        assert_labels(case["labels"])
        assert case["host"] is None or case["host"] in known, case
        assert case["host"] or not {"unit", "mountpoint"} & case.keys(), case
        assert case.get("mountpoint", "/").startswith("/"), case


@pytest.mark.parametrize("name", LABELS)
def test_numbers_are_given_once_and_three_divides_what_is_held_out(name: str) -> None:
    numbers = {
        folder: [case["id"].removeprefix(f"{name}-") for case in cases(folder, name)]
        for folder in FOLDERS
    }
    given = [int(number) for folder in FOLDERS for number in numbers[folder]]
    assert sorted(given) == list(range(1, len(given) + 1))
    assert all(int(number) % 3 == 0 for number in numbers["heldout"])
    assert all(int(number) % 3 for number in numbers[""])


def test_there_are_enough_of_both_and_a_third_is_held_out() -> None:
    alerts = {folder: sum(len(answers(folder, name)) for name in PACKS) for folder in FOLDERS}
    sets = {folder: sum(len(cases(folder, name)) for name in LABELS) for folder in FOLDERS}
    assert sum(alerts.values()) >= 600
    assert sum(sets.values()) >= 320
    for counted in (alerts, sets):
        assert 0.3 < counted["heldout"] / sum(counted.values()) < 0.37
