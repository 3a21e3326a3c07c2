"""Whole demos: real services, real Ansible, a real terminal; and nothing stays behind."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import psutil
import pytest

from tests.real_demos import COMMAND, PATIENCE, Demo, needs_programs

pytestmark = needs_programs


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    return Demo(tmp_path)


@pytest.mark.parametrize(
    ("fault", "lines"),
    [
        pytest.param(
            "crash",
            ["Alert ServiceDown", "Run: restart_service on web2", "Incident 1: fixed"],
            marks=pytest.mark.nightly,  # test_wheel.py plays it once, where it is installed
        ),
        pytest.param(
            "hang",
            ["no answer within 2s", "Run: restart_service on web2", "Incident 1: fixed"],
            marks=pytest.mark.nightly,
        ),
        ("release", ["Alert BadRelease", "Run: rollback_release on web2", "Incident 1: fixed"]),
    ],
)
def test_it_ends_as_it_should_and_leaves_nothing_behind(
    demo: Demo, fault: str, lines: list[str], tmp_path: Path
) -> None:
    # Settings of a real runner must not lead it elsewhere.
    other = tmp_path / "production.db"
    assert demo.run("--fault", fault, RUNNER_STORE_URL=f"sqlite:///{other}") == 0, demo.output
    assert not other.exists()
    assert [line for line in lines if line not in demo.output] == []
    assert "\x1b" not in demo.output and "Traceback" not in demo.output
    assert demo.left_behind() == []
    named = [line for line in demo.output.splitlines() if line.startswith("  runner --config")]
    assert named, demo.output
    for line in named:  # they work afterwards
        assert demo.call(*line.split()[1:]) == 0, demo.output


@pytest.mark.nightly
def test_the_commands_of_a_dry_run_work_afterwards(demo: Demo) -> None:
    assert demo.run("--fault", "disk", "--level", "dry-run") == 0, demo.output
    for line in demo.output.splitlines():
        if line.startswith("  runner --config"):
            assert demo.call(*line.split()[1:]) == 0, demo.output


def test_for_programs_it_says_everything_as_json_lines(demo: Demo) -> None:
    assert demo.run("--fault", "disk", "--output", "json") == 0, demo.output
    events = [json.loads(line) for line in demo.output.splitlines()]
    named = [each["event"] for each in events]
    wanted = ["alert", "evidence", "decision", "verdict", "dry_run", "run", "verification", "end"]
    assert [name for name in named if name in wanted] == wanted
    assert events[named.index("end")]["state"] == "fixed"


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        pytest.param(signal.SIGHUP, "== A fleet", marks=pytest.mark.nightly),
        pytest.param(signal.SIGTERM, "== Verdict", marks=pytest.mark.nightly),
        (signal.SIGINT, "== Run"),
        pytest.param(signal.SIGTERM, "  changed", marks=pytest.mark.nightly),
    ],
)
def test_a_signal_in_the_middle_leaves_nothing_behind(
    demo: Demo, number: signal.Signals, moment: str
) -> None:
    with demo.started(until=moment) as process:
        assert demo.end(process, number) == 128 + number
    assert "all its processes have ended" in demo.output
    assert "Traceback" not in demo.output
    assert demo.left_behind() == []


def test_it_says_so_when_one_of_its_processes_ends(demo: Demo) -> None:
    with demo.started(until="== Evidence") as process:
        pid = (demo.place / "fleet" / "web3" / "supervisord.pid").read_text()
        psutil.Process(int(pid)).kill()
        assert process.wait(PATIENCE) == 1
    assert "The supervisord of web3 ended by itself" in demo.output
    assert demo.left_behind() == []


def test_killing_it_outright_ends_its_fleet(demo: Demo) -> None:
    with demo.started("--level", "observe", "--keep", until="end it") as process:
        fleet = [psutil.Process(each.pid) for each in psutil.Process(process.pid).children(True)]
        process.kill()
    assert psutil.wait_procs(fleet, timeout=30)[1] == []


def test_a_taken_port_is_one_sentence_and_touches_nothing(demo: Demo) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert demo.run("--port", str(port)) == 2
    assert demo.output.startswith(f"runner: 127.0.0.1:{port} is taken by another program")
    assert len(demo.output.splitlines()) == 1
    assert not demo.place.exists()


def test_at_a_terminal_it_keeps_the_fleet_and_the_dashboard_until_interrupted(demo: Demo) -> None:
    """What no entry fits is for a person; and no line is wider than the terminal."""
    import httpx
    import pexpect

    child = pexpect.spawn(
        COMMAND[0], [*COMMAND[1:], "--no-color", "demo", "--fault", "unknown", "--keep"],
        cwd=str(demo.folder), env=demo.environment | {"TERM": "dumb"}, dimensions=(50, 80),
        encoding="utf-8", timeout=PATIENCE,
    )  # fmt: skip
    child.expect("end it")
    said = child.before
    settings = (demo.place / "runner.yml").read_text()
    port = settings.partition("port: ")[2].split()[0]
    assert httpx.get(f"http://127.0.0.1:{port}/incidents/1").status_code == 200
    assert demo.run() == 6, "a second one in the same place is refused"
    assert "Another demo uses" in demo.output
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, said
    for line in ("Alert QueueStuck", "What the person is sent", "Incident 1: escalated"):
        assert line in said
    assert "\x1b" not in said and "Traceback" not in said + child.before
    narrow = said.partition("To look further")[0]
    assert [line for line in narrow.splitlines() if len(line.rstrip()) > 80] == []
    assert demo.left_behind() == []


@pytest.mark.parametrize(
    ("typed", "state", "code"),
    [
        # A yes is shown by the test below, from another terminal.
        pytest.param("y", "fixed", 0, marks=pytest.mark.nightly),
        ("\x04", "denied", 1),
    ],
)
def test_at_level_approve_the_person_at_the_terminal_decides(
    demo: Demo, typed: str, state: str, code: int
) -> None:
    import pexpect

    child = pexpect.spawn(
        COMMAND[0], [*COMMAND[1:], "demo", "--fault", "disk", "--level", "approve"],
        cwd=str(demo.folder), env=demo.environment | {"TERM": "xterm"}, dimensions=(50, 80),
        encoding="utf-8", timeout=PATIENCE,
    )  # fmt: skip
    child.expect(r"clean_disk on web2\?")
    child.expect(r"\[y/n\]")
    child.send(typed if typed == "\x04" else f"{typed}\n")
    child.expect(f"Incident 1: {state}")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == code
    assert demo.left_behind() == []


def test_without_a_terminal_it_can_be_approved_from_another_one(demo: Demo) -> None:
    words = ("--fault", "disk", "--level", "approve")
    with demo.started(*words, until="answered elsewhere") as process:
        assert demo.call("--config", "var/demo/runner.yml", "approval", "approve", "1", "-y") == 0
        assert process.wait(PATIENCE) == 0
    for line in ("Alert DiskFull", "Run: clean_disk on web2", "Incident 1: fixed"):
        assert line in demo.output
    assert demo.left_behind() == []
