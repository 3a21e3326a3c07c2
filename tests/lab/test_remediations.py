"""Every shipped remediation on real hosts: it heals its fault, and it refuses what is not its."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from runner.catalog import load
from runner.incident import Purpose, Result, State
from tests.lab import layout
from tests.lab.game import Game

#: (fault, alert, entry that heals it, host): every shipped remediation, and every fault of theirs.
HEALED = [
    ("drill_crash", "SystemdUnitDown", "restart_service", "web1"),
    ("drill_disk_full", "DiskFull", "clean_disk", "web2"),
    ("drill_error_storm", "LogTooLarge", "rotate_logs", "web1"),
    ("drill_bad_release", "HttpErrorRateHigh", "rollback_release", "web2"),
    ("drill_expired_certificate", "CertificateExpiring", "renew_certificate", "web1"),
    ("drill_cpu", "CpuSaturated", "kill_runaway_process", "web2"),
    ("drill_hang", "ServiceHung", "restart_service", "web1"),
    ("drill_memory_leak", "SystemdUnitDown", "restart_service", "web2"),
]

#: (entry, values of a person, what it says): a state of the host that it is not made for.
REFUSED = [
    ("restart_service", {"service_restart_unit": "sshd"}, "is not a unit that may be restarted"),
    ("clean_disk", {"disk_space_places": ["elsewhere"]}, "elsewhere"),
    ("rotate_logs", {"log_rotation_log": "syslog"}, "must be among"),
    ("rollback_release", {"release_rollback_bad": "v0.0.1"}, "but v1.1.0 is served"),
    ("renew_certificate", {"certificate_name": "mail"}, "must be among"),
    ("kill_runaway_process", {}, "is protected or belongs to its unit"),
]

#: Entries whose proof is in another file of this folder.
ELSEWHERE = {
    "add_storage_node",
    "remove_storage_member",
    "set_aside_storage_node",
    "compact_storage",
    "defragment_storage",
    # By the scenario `lab` of their role, in test_molecule.py: no drill brings what they heal.
    "drop_replication_slot",
    "end_idle_sessions",
    "extend_filesystem",
    "free_inodes",
    "raise_limit",
    "raise_open_files",
    "reboot_host",
    "reload_configuration",
    "remount_filesystem",
    "renew_acme_certificate",
    "repair_packages",
    "restart_leaking_unit",
    "scale_service",
    "sync_clock",
}

LOOK = """
for unit in app nginx; do systemctl show --property=MainPID,ActiveEnterTimestamp "$unit"; done
find /srv /data /etc/ssl/lab -printf '%p %T@ %s %l\\n' | grep -v '/srv/app/log' | sort
pgrep --count --full /run/postgres
"""


def test_every_shipped_remediation_has_a_row() -> None:
    shipped = load(layout.REPOSITORY / "playbooks", ())
    wanted = {entry.id for entry in shipped.by_kind("remediation") if entry.role} - ELSEWHERE
    assert wanted == {row[2] for row in HEALED} == {row[0] for row in REFUSED}


@pytest.mark.parametrize(("fault", "alert", "entry", "host"), HEALED, ids=lambda v: str(v))
def test_the_fault_is_healed_and_its_alert_clears(
    game: Game, fault: str, alert: str, entry: str, host: str
) -> None:
    since = game.fault(fault, host)
    try:
        found = game.outcome(host, since)
        incident = found.incident
        assert incident.state is State.FIXED, incident.reason
        assert (incident.alert.name, incident.entry, incident.hosts) == (alert, entry, (host,))
        assert incident.alert.source == "webhook"
        (run,) = [run for run in found.runs if run.purpose is Purpose.REMEDIATION]
        assert run.hosts == (host,)
        assert found.verifications[run.id].result is Result.FIXED
        assert alert not in game.alerts(host)
    finally:
        game.end_fault(host)
        game.quiet(host)


@pytest.fixture
def busy_database(game: Game) -> Iterator[None]:
    """A process on web1 that is called like a database and never rests."""
    loop = "cp /bin/sh /run/postgres && exec /run/postgres -c 'while :; do :; done'"
    game.lab.run("web1", "systemd-run", "--unit=busy", "--collect", "sh", "-c", loop)
    yield
    game.lab.run("web1", "systemctl", "stop", "busy")


@pytest.mark.parametrize(("entry", "values", "sentence"), REFUSED, ids=lambda v: str(v)[:20])
def test_a_wrong_state_is_refused_and_nothing_changes(
    game: Game, entry: str, values: Mapping[str, Any], sentence: str, request: pytest.FixtureRequest
) -> None:
    if entry == "kill_runaway_process":
        request.getfixturevalue("busy_database")
    before = game.lab.run("web1", "sh", "-c", LOOK)
    found = game.ask(entry, "web1", values)
    assert found.incident.state is State.ESCALATED
    assert [run.purpose for run in found.runs if run.purpose is not Purpose.PROBE] == [
        Purpose.DRY_RUN
    ]
    said = found.incident.reason + "".join(run.reason for run in found.runs)
    assert sentence in said
    assert game.lab.run("web1", "sh", "-c", LOOK) == before
