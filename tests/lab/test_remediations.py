"""Every shipped remediation on real hosts: it heals its fault, and it refuses what is not its."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from runner.catalog import load
from runner.incident import Purpose, Result, State
from tests.lab import database, layout
from tests.lab.game import Game

#: (fault, alert, entry that heals it, host): the shipped remediations, and every fault of theirs.
HEALED = [
    ("drill_crash", "SystemdUnitDown", "restart_service", "web1"),
    ("drill_disk_full", "DiskFull", "clean_disk", "web2"),
    ("drill_error_storm", "LogTooLarge", "rotate_logs", "web1"),
    ("drill_bad_release", "HttpErrorRateHigh", "rollback_release", "web2"),
    ("drill_expired_certificate", "CertificateExpiring", "renew_certificate", "web1"),
    ("drill_cpu", "CpuSaturated", "kill_runaway_process", "web2"),
    ("drill_hang", "ServiceHung", "restart_service", "web1"),
    ("drill_memory_leak", "SystemdUnitDown", "restart_service", "web2"),
    ("drill_read_only", "NodeFilesystemReadOnly", "remount_filesystem", "web1"),
    ("drill_service_down", "NginxDown", "restart_service", "web2"),
    ("drill_clock", "NodeClockNotSynchronising", "sync_clock", "web1"),
    ("drill_inodes_full", "NodeFilesystemAlmostOutOfFiles", "free_inodes", "web2"),
    ("drill_interrupted_packages", "NodeSystemdServiceFailed", "repair_packages", "web1"),
    ("drill_leaking_unit", "NodeMemoryHighUtilization", "restart_leaking_unit", "web2"),
    ("drill_open_files", "ProcessNearFDLimits", "raise_open_files", "web1"),
    ("drill_stale_configuration", "NginxConfigReloadFailed", "reload_configuration", "web2"),
    ("drill_idle_sessions", "PGIdleTxn", "end_idle_sessions", "web1"),
]

#: (alert, entry that heals it, host, what brings the state, what takes away what is left of it): no
#: fault of a drill, because it cannot be undone, or only means that there is much to do.
BROUGHT = [
    (
        "PostgresReplicationSlotInactive", "drop_replication_slot", "web1",
        """runuser -u postgres -- psql --no-psqlrc --command "
        SELECT pg_create_physical_replication_slot('replica1', true);
        SELECT pg_logical_emit_message(false, 'drill', repeat('x', 2000000))" """,
        "true",
    ),
    (
        "SidekiqQueueSize", "scale_service", "web2",
        """
        printf '[Service]\\nExecStart=/bin/sleep infinity\\n' \\
            >/run/systemd/system/molecule-worker@.service
        systemctl daemon-reload
        systemctl start molecule-worker@1
        """,
        "systemctl stop 'molecule-worker@*'; rm /run/systemd/system/molecule-worker@.service",
    ),
    (
        "NodeRebootRequired", "reboot_host", "web2",
        "echo 'a library' >/run/reboot-required", "systemctl start drills.target",
    ),
]  # fmt: skip

#: CI shows the first ten: of the later entries one that goes by a mount point, and one by the
#: inventory's table of services.
HEALED_AT_NIGHT = {row[0] for row in HEALED[10:]}

#: Entries that do not wait for their alert: what it is about is looked at again later.
UNVERIFIED = {"repair_packages"}

#: (fault, or entry without one): what the run had to be about, of the host that the alert names.
PARTS = {
    "drop_replication_slot": {"replication_slot_name": "replica1"},
    "scale_service": {"service_scale_service": "worker"},
    "drill_read_only": {"filesystem_remount_mountpoint": "/data"},
    "drill_service_down": {"service_restart_unit": "nginx.service"},
    "drill_inodes_full": {"inodes_mountpoint": "/data"},
    "drill_open_files": {"resource_limit_service": "app"},
    "drill_stale_configuration": {"configuration_reload_service": "nginx"},
}

#: (entry, values of a person, what it says): a state of the host that it is not made for.
REFUSED = [
    ("restart_service", {"service_restart_unit": "sshd"}, "is not a unit that may be restarted"),
    ("clean_disk", {"disk_space_places": ["elsewhere"]}, "elsewhere"),
    ("rotate_logs", {"log_rotation_log": "syslog"}, "must be among"),
    ("rollback_release", {"release_rollback_bad": "v0.0.1"}, "but v1.1.0 is served"),
    ("renew_certificate", {"certificate_name": "mail"}, "must be among"),
    ("kill_runaway_process", {}, "is protected or belongs to its unit"),
    ("remount_filesystem", {"filesystem_remount_mountpoint": "/"}, "is not a mount point that may"),
    ("sync_clock", {}, "s off, and may be stepped by 0 s at most"),
    ("free_inodes", {"inodes_mountpoint": "/"}, "cleaning elsewhere frees nothing there"),
    ("repair_packages", {}, "python3 holds the lock of dpkg"),
    ("restart_leaking_unit", {}, "the inventory does not allow to restart it"),
    (
        "raise_open_files",
        {"resource_limit_service": "ssh"},
        "does not allow to raise open_files ssh",
    ),
    ("raise_limit", {}, "the inventory does not allow to raise conntrack"),
    ("reload_configuration", {"configuration_reload_service": "nginx"}, "is refused by nginx"),
    ("end_idle_sessions", {}, "nothing that is idle in a transaction may be ended"),
    (
        "drop_replication_slot",
        {"replication_slot_name": "other"},
        "is not a slot that may be dropped",
    ),
    ("extend_filesystem", {"filesystem_extend_mountpoint": "/"}, "must be among"),
    ("renew_acme_certificate", {"acme_certificate_name": "mail"}, "no certificate"),
    ("reboot_host", {}, "is installing packages"),
    ("scale_service", {"service_scale_service": "app"}, "must be among"),
]

#: Of the later ones, one in CI.
REFUSED_AT_NIGHT = {row[0] for row in REFUSED[7:]}

#: Somebody works on packages.
LOCK = """
    systemd-run --unit=busy --collect python3 -c "import fcntl, time; \
        lock = open('/var/lib/dpkg/lock', 'w'); fcntl.lockf(lock, fcntl.LOCK_EX); \
        open('/run/locked', 'w'); time.sleep(600)"
    for _ in $(seq 100); do [ -e /run/locked ] && exit 0; sleep 0.1; done
    exit 1
"""

#: (entry that must refuse it, what brings this state to web1, what takes it away).
STATES = {
    # A process that is called like a database and never rests.
    "kill_runaway_process": (
        "systemd-run --unit=busy --collect sh -c "
        "\"cp /bin/sh /run/postgres && exec /run/postgres -c 'while :; do :; done'\"",
        "systemctl stop busy",
    ),
    # Its source is five seconds ahead.
    "sync_clock": (
        """
        sed -i 's/iburst/iburst offset 5/' /etc/chrony/lab.conf
        systemctl restart chrony
        for _ in $(seq 300); do
            chronyc -n -c tracking | grep -q 'Normal$' && exit 0
            sleep 0.1
        done
        exit 1
        """,
        "sed -i 's/ offset 5//' /etc/chrony/lab.conf && systemctl restart chrony",
    ),
    "repair_packages": (LOCK, "systemctl stop busy; rm /run/locked"),
    "reboot_host": (
        f"touch /run/reboot-required; {LOCK}",
        "systemctl stop busy; rm /run/locked /run/reboot-required",
    ),
    # The memory is taken by what nobody may restart.
    "restart_leaking_unit": (
        """
        systemd-run --unit=busy --collect python3 -c \
            "import time; kept = b'x' * (90 << 20); open('/run/filled', 'w'); time.sleep(600)"
        for _ in $(seq 100); do [ -e /run/filled ] && exit 0; sleep 0.1; done
        exit 1
        """,
        "systemctl stop busy; rm /run/filled",
    ),
    # The only place that may be cleaned is there, on another file system.
    "free_inodes": ("mkdir -p /data/cache", "true"),
    "reload_configuration": (
        "echo 'server {' >/etc/nginx/conf.d/broken.conf",
        "rm /etc/nginx/conf.d/broken.conf && systemctl reload nginx",
    ),
    # A transaction of the superuser's.
    "end_idle_sessions": (
        """
        systemd-run --unit=busy --collect --uid=postgres \
            sh -c '(echo "BEGIN; SELECT 1;"; exec sleep 600) | psql --no-psqlrc'
        sleep 2
        """,
        "systemctl stop busy",
    ),
}

#: Entries whose proof is in another file of this folder.
ELSEWHERE = {
    "add_storage_node",
    "remove_storage_member",
    "set_aside_storage_node",
    "compact_storage",
    "defragment_storage",
}

#: What is only refused here: the limit of `raise_limit` belongs to the machine, containers have
#: no LVM, and no public authority is reached. The scenarios `lab` of the roles have stand-ins.
NOT_HEALED = {"raise_limit", "extend_filesystem", "renew_acme_certificate"}

LOOK = """
for unit in app nginx; do systemctl show --property=MainPID,ActiveEnterTimestamp "$unit"; done
find /srv /data /etc/ssl/lab -printf '%p %T@ %s %l\\n' | grep -v '/srv/app/log' | sort
pgrep --count --full /run/postgres
"""


def test_every_shipped_remediation_has_a_row() -> None:
    shipped = load(layout.REPOSITORY / "playbooks", ())
    wanted = {entry.id for entry in shipped.by_kind("remediation") if entry.role} - ELSEWHERE
    healed = {row[2] for row in HEALED} | {row[1] for row in BROUGHT}
    assert wanted - NOT_HEALED == healed
    assert wanted == {row[0] for row in REFUSED}


@pytest.fixture(scope="module")
def watched(game: Game) -> Iterator[None]:
    """The hosts have what some drills are about, and no other test wants to pay for."""
    for host in ("web1", "web2"):
        game.lab.run(host, "systemctl", "start", "drills.target")
    yield
    for host in ("web1", "web2"):
        game.lab.run(host, "systemctl", "stop", "drills.target")


@pytest.fixture(scope="module")
def postgres(game: Game) -> Iterator[None]:
    """A PostgreSQL on web1."""
    database.bring("web1", game.configuration.parent)
    yield
    database.end(game.lab, "web1")


#: What a row needs beside the hosts, by its fault or its entry.
NEEDS = {
    "drill_clock": ["watched"],
    "drill_idle_sessions": ["watched", "postgres"],
    "drill_interrupted_packages": ["watched"],
    "drill_stale_configuration": ["watched"],
    "end_idle_sessions": ["postgres"],
    "sync_clock": ["watched"],
}


def rows(all_rows: list[tuple[Any, ...]], nightly: set[str]) -> list[Any]:
    """Parameters for `parametrize`; those whose first value is in `nightly` are shown at night."""
    return [
        pytest.param(*row, marks=pytest.mark.nightly if row[0] in nightly else ())
        for row in all_rows
    ]


@pytest.mark.parametrize(
    ("fault", "alert", "entry", "host"), rows(HEALED, HEALED_AT_NIGHT), ids=lambda v: str(v)
)
def test_the_fault_is_healed_and_its_alert_clears(
    game: Game, fault: str, alert: str, entry: str, host: str, request: pytest.FixtureRequest
) -> None:
    for fixture in NEEDS.get(fault, []):
        request.getfixturevalue(fixture)
    since = game.fault(fault, host)
    try:
        variables = healed(game, since, alert, entry, host)
        assert PARTS.get(fault, {}).items() <= variables.items()
    finally:
        game.end_fault(host)
        game.quiet(host)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("alert", "entry", "host", "bring", "end"), BROUGHT, ids=[row[1] for row in BROUGHT]
)
def test_what_no_drill_brings_is_healed_too(
    game: Game,
    alert: str,
    entry: str,
    host: str,
    bring: str,
    end: str,
    postgres: None,
    watched: None,
) -> None:
    since = datetime.now(UTC)
    game.lab.run(host, "sh", "-c", bring)
    try:
        variables = healed(game, since, alert, entry, host)
        assert PARTS.get(entry, {}).items() <= variables.items()
    finally:
        game.lab.run(host, "sh", "-c", end)
        game.quiet(host)


def healed(game: Game, since: datetime, alert: str, entry: str, host: str) -> Mapping[str, Any]:
    """The variables of the run that fixed it: this alert, by this entry, on this host alone."""
    found = game.outcome(host, since)
    incident = found.incident
    assert incident.state is State.FIXED, incident.reason
    assert (incident.alert.name, incident.entry, incident.hosts) == (alert, entry, (host,))
    assert incident.alert.source == "webhook"
    (run,) = [run for run in found.runs if run.purpose is Purpose.REMEDIATION]
    assert run.hosts == (host,)
    assert found.verifications[run.id].result is Result.FIXED
    if entry not in UNVERIFIED:
        assert alert not in game.alerts(host)
    game.soon(lambda: alert not in game.alerts(host), f"{alert} on {host} clears")
    assert found.plan is not None
    return found.plan.variables


@pytest.fixture
def wrong_state(game: Game, entry: str) -> Iterator[None]:
    """A state of web1 that the entry is not made for."""
    bring, end = STATES.get(entry, ("true", "true"))
    game.lab.run("web1", "sh", "-c", bring)
    yield
    game.lab.run("web1", "sh", "-c", end)
    game.quiet("web1")


@pytest.mark.parametrize(
    ("entry", "values", "sentence"), rows(REFUSED, REFUSED_AT_NIGHT), ids=lambda v: str(v)[:20]
)
def test_a_wrong_state_is_refused_and_nothing_changes(
    game: Game, entry: str, values: Mapping[str, Any], sentence: str, request: pytest.FixtureRequest
) -> None:
    for fixture in [*NEEDS.get(entry, []), "wrong_state"]:
        request.getfixturevalue(fixture)
    before = game.lab.run("web1", "sh", "-c", LOOK)
    found = game.ask(entry, "web1", values)
    assert found.incident.state is State.ESCALATED
    assert [run.purpose for run in found.runs if run.purpose is not Purpose.PROBE] == [
        Purpose.DRY_RUN
    ]
    said = found.incident.reason + "".join(run.reason for run in found.runs)
    assert sentence in said
    assert game.lab.run("web1", "sh", "-c", LOOK) == before
