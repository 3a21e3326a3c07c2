"""What the probe's one module reads of a host, in the words of Ansible's own facts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ansible.module_utils.testing import patch_module_args

from runner.evidence import probe
from tests.real.test_roles import ansible
from tests.role_code import module_of

MEMINFO = """\
MemTotal:       2048000 kB
MemFree:         512000 kB
Buffers:          10240 kB
Cached:          102400 kB
SwapCached:        1024 kB
SwapTotal:       204800 kB
SwapFree:        102400 kB
Nonsense
"""
MOUNTS = r"""
proc /proc proc rw 0 0
/dev/sda1 / ext4 rw,relatime 0 0
/dev/sda1 /again ext4 rw 0 0
/dev/sdb1 /with\040space ext4 rw 0 0
server:/export /net nfs rw 0 0
tank/data /tank zfs rw 0 0
none /x none rw 0 0
short
"""


def called(capsys: pytest.CaptureFixture[str], **given: Any) -> Any:
    module = module_of("modules/host_info.py")
    with patch_module_args(given), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


def test_memory_is_told_as_ansible_tells_it() -> None:
    memory = module_of("modules/host_info.py").memory
    assert memory(MEMINFO) == {
        "real": {"total": 2000, "used": 1500, "free": 500},
        "nocache": {"free": 610, "used": 1390},
        "swap": {"total": 200, "free": 100, "used": 100, "cached": 1},
    }
    assert memory("") == {}


def test_real_file_systems_are_told_once_each() -> None:
    found = module_of("modules/host_info.py").mounts(MOUNTS)
    assert [row["mount"] for row in found] == ["/", "/with space", "/net", "/tank"]


def test_a_file_system_that_never_answers_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    info = module_of("modules/host_info.py")
    gone = threading.Event()
    real = info.os.statvfs
    monkeypatch.setattr(info, "_SECONDS", 0.1)

    def statvfs(path: str) -> Any:
        if path == "/net":
            gone.wait(20)
            raise OSError
        return real(path)

    monkeypatch.setattr(info.os, "statvfs", statvfs)
    rows = [{"mount": "/net"}, {"mount": "/"}]
    info.measure(rows)
    gone.set()
    assert "size_total" in rows[1] and rows[0] == {"mount": "/net"}


def test_the_host_alone_is_read_where_no_unit_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = called(capsys)
    assert found["changed"] is False and found["logs"] == []
    facts = found["facts"]
    assert facts["unit"] == {} and facts["load"].keys() == {"1m", "5m", "15m"}
    assert facts["uptime_seconds"] > 0 and facts["memory_mb"]["real"]["total"] > 0
    assert len(facts["processes"]) <= 11


def test_the_end_of_a_log_is_bounded_in_lines_and_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log").write_text("".join(f"line {number}\n" for number in range(100)))
    given = {"log_file": str(tmp_path / "log"), "log_lines": 3}
    assert called(capsys, **given)["logs"] == ["line 97", "line 98", "line 99"]
    assert called(capsys, **given, log_chars=10)["logs"] == ["98", "line 99"]
    assert called(capsys, **given, log_chars=0)["logs"] == []
    given["log_file"] = str(tmp_path / "none")
    assert "No such file" in called(capsys, **given)["facts"]["log_not_read"]


UNITS = """\
nginx.service loaded active running A web server
queue@3.service loaded failed failed Work
gone.service not-found inactive dead gone.service
backup.timer loaded active waiting Daily
"""
PROGRAMS = """\
app                              RUNNING   pid 12, uptime 0:00:01
pair:left                        STOPPED   Not started
same:same                        FATAL     x
unix:///tmp/x.sock no such file
"""


class Answering:
    """A module whose programs say what they are told to."""

    params: ClassVar[dict[str, str]] = {"supervisor_config": "/x", "supervisorctl": "supervisorctl"}

    def get_bin_path(self, name: str, **options: object) -> str:
        return name

    def run_command(self, words: list[str]) -> tuple[int, str, str]:
        return 0, UNITS if "list-units" in words else PROGRAMS, ""


def test_the_parts_of_a_host_are_what_can_be_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """No names that are only referred to, and none that a unit has beside its own."""
    units = module_of("module_utils/units.py")
    assert units.Systemd(Answering()).names() == [
        "backup.timer", "nginx.service", "queue@3.service",
    ]  # fmt: skip
    monkeypatch.setattr(units, "check", lambda path: None)
    assert units.Supervisord(Answering()).names() == ["app", "pair:left", "same"]


def test_a_probe_lists_the_parts_of_its_host(capsys: pytest.CaptureFixture[str]) -> None:
    found = called(capsys)
    assert found["parts"]["mountpoint"] == [row["mount"] for row in found["facts"]["file_systems"]]
    assert all(name.count(".") for name in found["parts"]["unit"])
    assert probe.parts(found) >= {f"mountpoint {row}" for row in found["parts"]["mountpoint"]}


@pytest.mark.real
def test_it_agrees_with_ansibles_own_facts(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-m", "ansible.builtin.setup", "-a", "gather_subset=!all,!min,hardware", "-o"]
    said = ansible(
        "ansible", "localhost", "-i", "localhost,", "-c", "local",
        "-e", f"ansible_python_interpreter={sys.executable}", *words,
    )  # fmt: skip
    theirs = json.loads(said.stdout.partition("=> ")[2])["ansible_facts"]
    ours = called(capsys)["facts"]
    assert ours["memory_mb"].keys() == theirs["ansible_memory_mb"].keys()
    for kind, values in theirs["ansible_memory_mb"].items():
        assert ours["memory_mb"][kind].keys() == values.keys()
    assert ours["memory_mb"]["real"]["total"] == theirs["ansible_memory_mb"]["real"]["total"]
    by_mount = {row["mount"]: row for row in theirs["ansible_mounts"]}
    for row in ours["file_systems"]:
        for key in ("device", "fstype", "size_total", "inode_total"):
            assert row[key] == by_mount[row["mount"]][key]
