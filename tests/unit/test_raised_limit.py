"""A limit is raised only where it is nearly used up, within its bound, and will be set back."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.called_module import called, stand_in
from tests.role_code import module_of

#: Has thirty files open of forty that it may have, and so has its child.
HUNGRY = """
import os, resource, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (40, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
kept = [os.open(os.devnull, os.O_RDONLY) for _ in range(30)]
os.fork()
print(flush=True)
time.sleep(60)
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands in for the kernel's table, which is nearly full."""
    (tmp_path / "nf_conntrack_count").write_text("90\n")
    (tmp_path / "nf_conntrack_max").write_text("100\n")
    # What the timer would run is kept, and run by the test.
    stand_in(
        tmp_path, "systemd-run", f'for word; do printf "%s\\0" "$word"; done >{tmp_path}/timer'
    )
    stand_in(
        tmp_path,
        "systemctl",
        f"[ $1 = show ] && {{ cat {tmp_path}/show; exit; }}\n[ -e {tmp_path}/kept ]",
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


@pytest.fixture
def hungry(host: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HUNGRY], stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout
    process.stdout.readline(), process.stdout.readline()  # its own, and its child's
    (host / "show").write_text(f"LoadState=loaded\nActiveState=active\nMainPID={process.pid}\n")
    yield process
    subprocess.run(["pkill", "--session", str(process.pid)], check=False)
    process.wait()
    process.stdout.close()


def limit(host: Path, capsys: pytest.CaptureFixture[str], **given: Any) -> dict[str, Any]:
    module = module_of("modules/raised_limit.py")
    module.CONNTRACK = str(host)
    arguments = {"kind": "conntrack", "most": 150, "keep_seconds": 60}
    return called(capsys, module, **arguments | given)


def table(host: Path) -> str:
    return (host / "nf_conntrack_max").read_text().strip()


def set_back(host: Path) -> None:
    """What the timer would do."""
    words = (host / "timer").read_text().rstrip("\0").split("\0")
    subprocess.run(words[words.index("--") + 1 :], check=True)


def test_a_full_table_is_raised_to_its_bound_and_set_back(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = limit(host, capsys, _ansible_check_mode=True)
    assert (shown["changed"], table(host), (host / "timer").exists()) == (True, "100", False)
    found = limit(host, capsys)
    assert (found["changed"], found["enough"], table(host)) == (True, True, "150")
    assert found["diff"] == shown["diff"]
    assert found["diff"] == {
        "before": "nf_conntrack_max: 100\n", "after": "nf_conntrack_max: 150, for 60 s\n",
    }  # fmt: skip
    words = (host / "timer").read_text().split("\0")
    assert words[:3] == ["--collect", "--unit=runner-limit-conntrack", "--on-active=60s"]
    set_back(host)
    assert table(host) == "100"


def test_what_somebody_else_has_set_since_stays(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit(host, capsys)
    (host / "nf_conntrack_max").write_text("400")
    set_back(host)
    assert table(host) == "400"


@pytest.mark.parametrize(
    ("files", "given", "said"),
    [
        ({}, {"most": 100}, "nf_conntrack_max: 90 of 100 are used, and 100 is the most that the"),
        ({"kept": ""}, {}, "nf_conntrack_max was raised already, until runner-limit-conntrack"),
        ({"nf_conntrack_max": ""}, {}, "nf_conntrack_max cannot be read"),
        ({"show": "LoadState=loaded\nActiveState=failed\n"}, {"kind": "open_files", "name": "app"},
         "app does not run (loaded/failed); nothing was raised."),
    ],
    ids=["at its bound", "raised already", "unreadable", "does not run"],
)  # fmt: skip
def test_it_refuses_before_it_raises_anything(
    host: Path,
    capsys: pytest.CaptureFixture[str],
    files: dict[str, str],
    given: dict[str, Any],
    said: str,
) -> None:
    for name, text in files.items():
        (host / name).write_text(text)
    before = table(host)
    for check in (True, False):
        found = limit(host, capsys, **given, _ansible_check_mode=check)
        assert found["failed"] and said in found["msg"], found["msg"]
        assert (table(host), (host / "timer").exists()) == (before, False)


def test_a_host_that_tracks_nothing_is_refused(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = limit(host / "none", capsys)
    assert "this host tracks no connections" in found["msg"]


def test_a_table_with_room_is_left_alone(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (host / "nf_conntrack_count").write_text("74")
    found = limit(host, capsys)
    assert (found["changed"], found["enough"], table(host)) == (False, True, "100")


def test_without_a_timer_nothing_is_raised(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in(host, "systemd-run", "echo Failed to connect to bus >&2; exit 1")
    found = limit(host, capsys)
    assert found["msg"] == "systemd-run: Failed to connect to bus; nothing was raised."
    assert table(host) == "100"


def test_each_process_of_a_unit_is_raised_and_set_back(
    host: Path,
    hungry: subprocess.Popen[bytes],
    capsys: pytest.CaptureFixture[str],
) -> None:
    given: dict[str, Any] = {"kind": "open_files", "name": "app", "most": 64}
    before = resource.prlimit(hungry.pid, resource.RLIMIT_NOFILE)
    found = limit(host, capsys, **given)
    assert [one["limit"] for one in found["after"]] == [64, 64]
    assert (found["changed"], found["enough"]) == (True, True)
    assert found["diff"]["after"] == "app: open files: 64, for 60 s\n"
    assert not limit(host, capsys, **given)["changed"]
    set_back(host)
    assert resource.prlimit(hungry.pid, resource.RLIMIT_NOFILE) == before


def test_a_process_that_took_the_number_of_another_is_left_alone(
    hungry: subprocess.Popen[bytes],
) -> None:
    module = module_of("modules/raised_limit.py")
    before = resource.prlimit(hungry.pid, resource.RLIMIT_NOFILE)
    other = {"pid": hungry.pid, "start": 1, "old": [8, 8], "new": list(before)}
    subprocess.run([sys.executable, "-c", module.BACK, json.dumps([other])], check=True)
    module.apply(other | {"new": [9, 9]})
    assert resource.prlimit(hungry.pid, resource.RLIMIT_NOFILE) == before
