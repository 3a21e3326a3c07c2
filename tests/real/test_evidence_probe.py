"""Facts and logs of a probe are pieces of their own, and a failed one says why."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.evidence import probe
from runner.evidence.mask import Mask
from runner.evidence.number import ITEM, number
from runner.execute.request import RunResult
from runner.execute.run import run
from runner.incident import Evidence, Outcome
from tests.local_hosts import Lab, needs_ansible

AT = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
MIB = 2**20
FACTS = {
    "uptime_seconds": 7200,
    "load": {"1m": 4.2, "5m": 3.9},
    "processors": 4,
    "file_systems": [
        {"mount": "/", "device": "/dev/vda1", "fstype": "ext4", "size_total": 1000 * MIB,
         "size_available": 600 * MIB, "inode_total": 100, "inode_available": 90},
        {"mount": "/srv", "device": "/dev/vdb1", "fstype": "xfs", "size_total": 1000 * MIB,
         "size_available": 10 * MIB},
    ],
    "unit": {"unit": "app.service", "ActiveState": "failed", "ExecMainStatus": 203},
}  # fmt: skip


def pieces(
    results: dict[str, object], outcome: Outcome = Outcome.NO_CHANGE, reason: str = ""
) -> list[Evidence]:
    return probe.pieces("look", "Look at web1", results, outcome, reason, mask=Mask(), at=AT)


def test_the_facts_are_pieces_of_their_own_and_come_before_the_log() -> None:
    found = pieces({"facts": FACTS, "logs": ["started"]})
    assert [(piece.kind, piece.title) for piece in found] == [
        ("fact", "Look at web1: unit"),
        ("fact", "Look at web1: facts"),
        ("fact", "Look at web1: file_systems"),
        ("log", "Look at web1: log"),
    ]
    assert "ExecMainStatus=203" in found[0].text
    assert found[1].text.splitlines() == [
        "uptime_seconds: 7200",
        "load: 1m=4.2, 5m=3.9",
        "processors: 4",
    ]
    assert found[2].text.splitlines()[0] == "/srv (xfs on /dev/vdb1): 99.0% used, 10 MiB free"


@pytest.mark.parametrize("size", [1_000, 100_000, 2_000_000])
def test_no_fact_is_lost_because_a_log_is_long(size: int) -> None:
    log = [f"line {n} of a long log" for n in range(size // 20)]
    items = number(pieces({"facts": FACTS, "logs": log}), Mask())
    whole = "\n".join(item.text for item in items if item.kind == "fact")
    for said in ("ActiveState=failed", "ExecMainStatus=203", "99.0% used", "40.0% used"):
        assert said in whole
    assert all(len(item.text.encode()) <= ITEM for item in items)


LOG = """\
2026-03-04T11:58:00+0000 web1 app[71]: ready
2026-03-04T11:58:01+0000 web1 app[71]: connection to db1:5432 refused
2026-03-04T11:58:02+0000 web1 app[72]: connection to db1:5432 refused
2026-03-04T11:58:03+0000 web1 app[73]: connection to db1:5432 refused
2026-03-04T11:59:00+0000 web1 systemd[1]: app.service: Failed with result 'exit-code'.
2026-03-04T11:59:01+0000 web1 systemd[1]: Stopped app.service.
"""


def test_equal_lines_are_one_with_a_count_and_the_newest_error_leads() -> None:
    assert probe.distinct(LOG.splitlines()).splitlines() == [
        "2026-03-04T11:59:00+0000 systemd: app.service: Failed with result 'exit-code'.",
        "2026-03-04T11:58:03+0000 app: connection to db1:5432 refused (3 times)",
        "2026-03-04T11:59:01+0000 systemd: Stopped app.service.",
        "2026-03-04T11:58:00+0000 app: ready",
    ]


def test_a_repeated_line_takes_no_other_lines_place() -> None:
    log = ["disk /dev/vdb1: I/O error", *["GET /health 200"] * 2000, "bye"]
    assert probe.distinct(log).splitlines() == [
        "disk /dev/vdb1: I/O error",
        "bye",
        "GET /health 200 (2000 times)",
    ]
    assert probe.distinct(["a", "a"]) == "a (2 times)"


@given(st.lists(st.text(max_size=60).filter(lambda line: "\n" not in line), max_size=30))
def test_every_line_of_a_short_log_is_told_and_counted(lines: list[str]) -> None:
    text = probe.distinct(lines)
    assert len(text.split("\n")) <= max(1, len(lines))
    assert probe.distinct([]) == ""


def test_a_secret_of_several_lines_is_masked_before_lines_change_their_place() -> None:
    """Invariant 13: behind the ordering nothing would tell that a line is part of a key."""
    key = ["-----BEGIN RSA PRIVATE KEY-----", "MIIEowIBAAKCAQEA7", "-----END RSA PRIVATE KEY-----"]
    found = pieces({"logs": ["read the key", *key, "failed"]})
    assert "MIIEowIBAAKCAQEA7" not in found[0].text
    assert found[0].text.startswith("failed")


def test_a_probe_that_reported_nothing_says_so() -> None:
    (piece,) = pieces({})
    assert piece.text.startswith("unknown: the play ended well and reported nothing")


def test_other_names_of_a_team_s_own_probe_are_facts() -> None:
    found = pieces({"queue": 17, "members": [{"name": "a", "lag": 3}]})
    assert [(piece.title, piece.text) for piece in found] == [
        ("Look at web1: facts", "queue: 17\nmembers: name=a, lag=3"),
    ]


SUDO = "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n"


@pytest.fixture(scope="module")
def denied(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A real play on a host where `sudo` wants a password."""
    folder = tmp_path_factory.mktemp("probe")
    lab = Lab(folder)
    sudo = lab.write("sudo", SUDO)
    sudo.chmod(0o755)
    local = "ansible_connection: local, ansible_python_interpreter: '{{ ansible_playbook_python }}'"
    lab.inventory = lab.write(
        "own.yml",
        f"all: {{hosts: {{web1: {{{local}, ansible_become_exe: '{sudo}'}}}}}}\n",
    )
    play = lab.play("""
        - name: Read the log
          ansible.builtin.command: cat /var/log/syslog
          become: true
          become_user: nobody
        """)
    return run(lab.request(play))


@needs_ansible[0]
@needs_ansible[1]
def test_a_failed_probe_says_its_real_reason(denied: RunResult) -> None:
    """Ansible's own words, where people and models read."""
    assert denied.outcome is Outcome.FAILED
    (piece,) = pieces(dict(denied.results), denied.outcome, denied.reason)
    assert piece.text.startswith("unknown: the probe ended as failed: a task failed on web1: ")
    assert "sudo: a password is required" in piece.text


def test_a_probe_that_reached_nobody_says_so() -> None:
    why = "web1 could not be reached: Failed to connect to the host via ssh"
    (piece,) = pieces({}, Outcome.UNREACHABLE, why)
    assert piece.text == f"unknown: the probe ended as unreachable: {why}"
