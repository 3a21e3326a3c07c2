"""A plan's hash covers what decides its effect, and says by name what changed since."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from runner import plan as plans
from runner.catalog import load
from runner.catalog.content import Content
from runner.catalog.reads import digests
from runner.incident import Alert, AlertStatus, Incident, Level, Plan, State
from runner.inventory import Host, Inventory
from runner.store import records, tables
from runner.store.database import Database
from tests import small_project as small

NOW = datetime(2026, 3, 4, tzinfo=UTC)


def inventory(**variables: Any) -> Inventory:
    return Inventory(
        hosts={"web1": Host(name="web1", variables=variables), "lb1": Host(name="lb1")},
        groups={"all": ("web1", "lb1"), "lb": ("lb1",)},
    )


def draft(root: Path, hosts: Inventory, **labels: str) -> Plan:
    """The plan of the small project's entry on web1, from its files as they are now."""
    catalog = load(root / "playbooks", (root / "roles",))
    alert = Alert(
        fingerprint="f",
        status=AlertStatus.FIRING,
        labels={"alertname": "Down", "service": "shop"} | labels,
        annotations={},
        starts_at=NOW,
    )
    incident = Incident(
        id=1, alert=alert, state=State.JUDGED, reason="", created_at=NOW, updated_at=NOW,
        environment="test", ceiling=Level.AUTO, hosts=("web1",),
    )  # fmt: skip
    return plans.draft(incident, catalog.get("mark"), catalog, hosts)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    small.make(tmp_path)
    return tmp_path


def test_nothing_changed_is_the_same_plan(root: Path) -> None:
    before, now = draft(root, inventory(a=1)), draft(root, inventory(a=1))
    assert (before.hash, plans.difference(before, now)) == (now.hash, "")


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("roles/mark/tasks/main.yml", "playbook or role (roles/mark/tasks/main.yml)"),
        ("roles/mark/files/new", "playbook or role (roles/mark/files/new)"),
        ("playbooks/mark/playbook.yml", "playbook or role (playbooks/mark/playbook.yml)"),
    ],
)
def test_a_changed_file_is_named(root: Path, file: str, said: str) -> None:
    before = draft(root, inventory())
    path = root / file
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + "\n# more\n")
    now = draft(root, inventory())
    assert now.hash != before.hash
    assert plans.difference(before, now) == said


def test_a_changed_variable_is_named_without_its_value(root: Path) -> None:
    before, now = draft(root, inventory()), draft(root, inventory(), service="hunter2")
    assert now.hash != before.hash
    assert plans.difference(before, now) == "variable (mark_text)"


def test_an_inventory_variable_that_the_role_reads_is_named(root: Path) -> None:
    tasks = root / "roles/mark/tasks/main.yml"
    tasks.write_text(tasks.read_text() + '- ansible.builtin.debug: {msg: "{{ shop_port }}"}\n')
    before = draft(root, inventory(shop_port="{{ shop_base }}", shop_base=80, rack=1))
    other = draft(root, inventory(shop_port="{{ shop_base }}", shop_base=80, rack=2))
    now = draft(root, inventory(shop_port="{{ shop_base }}", shop_base=81, rack=1))
    assert other.hash == before.hash  # nothing in the play reads it
    assert now.hash != before.hash
    assert plans.difference(before, now) == "inventory variable (shop_base of web1)"


def test_another_address_is_another_plan(root: Path) -> None:
    before = draft(root, inventory(ansible_host="192.0.2.1"))
    now = draft(root, inventory(ansible_host="192.0.2.2"))
    assert plans.difference(before, now) == "inventory variable (ansible_host of web1)"


def test_a_group_that_the_play_delegates_to_counts_as_touched(root: Path) -> None:
    """Invariant 6: hosts that the play may act on are in the plan before it runs."""
    tasks = root / "roles/mark/tasks/main.yml"
    delegated = "- ansible.builtin.ping:\n  delegate_to: \"{{ groups['lb'][0] }}\"\n"
    tasks.write_text(tasks.read_text() + delegated)
    found = draft(root, inventory())
    assert (found.delegates, found.touched) == (("lb1",), ("lb1", "web1"))


def test_many_changes_are_counted(root: Path) -> None:
    before = draft(root, inventory())
    now = replace(before, files={f"roles/x/{n}": "0" for n in range(9)}, content="other")
    assert plans.difference(before, now).endswith("and 8 more)")


def content(*words: str, indirect: bool = False) -> Content:
    return Content(files={}, words=frozenset(words), indirect=indirect)


def test_no_digest_of_a_secret_is_kept() -> None:
    """Invariant 13: names that promise a secret are left out altogether."""
    secret = {"db_password": "x", "api_token": "x", "ansible_ssh_private_key_file": "x", "a": 1}
    assert set(digests(content(*secret), secret)) == {"a"}
    assert set(digests(content(indirect=True), secret)) == {"a"}


def test_names_that_are_made_up_at_run_time_mean_every_variable() -> None:
    assert set(digests(content(indirect=True), {"a": 1, "b": 2})) == {"a", "b"}
    assert set(digests(content("b"), {"a": 1, "b": 2})) == {"b"}


def test_a_plan_that_was_stored_before_is_read_with_the_same_hash(
    root: Path, database: Database
) -> None:
    """Rows from before hold nothing of what Ansible loads beside the files."""
    before = replace(draft(root, inventory(a=1)), loaded={}, key="")
    before = plans.hashed(before, "d" * 64)
    with database.write() as tx:
        records.put_plan(tx, 1, before)
        tx.execute(tables.plans.update().values(loaded=None, uncovered=None, key=None))
        found = records.plan_of(tx, 1)
    assert found == before
    assert plans.hashed(found, found.diff).hash == before.hash


def test_digests_of_inventory_values_are_made_with_the_plans_key() -> None:
    """Invariant 13: who sees a digest cannot find out the value by trying, or compare plans."""
    content = Content(files={}, words=frozenset({"pin"}), indirect=False)
    made = [digests(content, {"pin": 1234}, key)["pin"] for key in ("a", "a", "b", "")]
    assert made[0] == made[1]
    assert len(set(made)) == 3
