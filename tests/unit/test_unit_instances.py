"""The module that runs more or fewer instances, against a systemctl of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.role_code import module_of

#: A unit is a file with its state; an instance without one can be started, except number 9.
SYSTEMCTL = """\
#!/bin/sh
cd {root}
for unit in "$@"; do :; done
echo "$1 $unit" >> asked
case "$1" in
  show)
    state=$(cat "$unit" 2>/dev/null || echo inactive)
    case "$unit" in *@9) load=not-found;; *) load=loaded;; esac
    printf 'LoadState=%s\\nActiveState=%s\\nMainPID=7\\n' $load $state;;
  start) [ ! -e broken ] || {{ echo 'Job failed.'; exit 1; }}; cat started > "$unit";;
  stop) rm "$unit";;
esac
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemd on which two of the instances run."""
    program = tmp_path / "systemctl"
    program.write_text(SYSTEMCTL.format(root=tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name in ("worker@1", "worker@2", "started"):
        (tmp_path / name).write_text("active")
    (tmp_path / "asked").touch()
    return tmp_path


def changes(host: Path) -> list[str]:
    lines = (host / "asked").read_text().splitlines()
    return [line for line in lines if not line.startswith("show")]


def called(
    capsys: pytest.CaptureFixture[str], *, check: bool = False, memory: float = 50, **given: Any
) -> Any:
    module = module_of("modules/unit_instances.py")
    module.memory_available = lambda: memory
    arguments = {"name": "worker@{id}", "min": 1, "max": 4, "settle_seconds": 0, **given}
    with patch_module_args({**arguments, "_ansible_check_mode": check}), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


def test_one_more_is_started_and_proven(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dry = called(capsys, check=True)
    assert (dry["changed"], dry["healthy"], changes(host)) == (True, False, [])
    found = called(capsys)
    assert changes(host) == ["start worker@3"]
    assert (found["before"], found["after"]) == (
        ["worker@1", "worker@2"], ["worker@1", "worker@2", "worker@3"],
    )  # fmt: skip
    assert found["healthy"] and found["wanted"] == 3
    assert dry["diff"] == found["diff"] == {
        "before": "worker@1: running\nworker@2: running\nworker@3: stopped\nworker@4: stopped\n",
        "after": "worker@1: running\nworker@2: running\nworker@3: running\nworker@4: stopped\n",
    }  # fmt: skip


def test_so_many_run_as_a_person_wants_the_lowest_ones(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "worker@1").unlink()
    assert called(capsys, wanted=3)["after"] == ["worker@1", "worker@2", "worker@3"]
    assert not called(capsys, wanted=3)["changed"]
    assert called(capsys, wanted=1)["after"] == ["worker@1"]
    assert changes(host) == [
        "start worker@1", "start worker@3", "stop worker@3", "stop worker@2",
    ]  # fmt: skip


def test_a_step_ends_at_the_most_and_begins_at_the_least(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(capsys, step=5, check=True)["wanted"] == 4
    assert called(capsys, min=4, check=True)["wanted"] == 4


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"wanted": 5}, "5 instances are not among 1 to 4."),
        ({"wanted": 1, "min": 2}, "1 instances are not among 2 to 4."),
        ({"max": 2}, "2 of at most 2 instances run already; a person must look."),
        ({"memory": 9.5}, "less than 10 % of the memory is available; no room for more."),
        ({"first": 7}, "systemd has no worker@9 that it could start."),
    ],
)
def test_it_refuses_before_it_starts_anything(
    host: Path, capsys: pytest.CaptureFixture[str], given: dict[str, Any], sentence: str
) -> None:
    if "first" in given:
        given = {**given, "wanted": 3}
    for check in (True, False):
        found = called(capsys, check=check, **given)
        assert found["failed"] and found["msg"] == f"worker@{{id}}: {sentence}"
    assert changes(host) == []


def test_beside_one_that_failed_no_other_is_started(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "worker@2").write_text("failed")
    found = called(capsys)
    what = "worker@2 failed (loaded/failed); restart it before others are added."
    assert found["msg"] == f"worker@{{id}}: {what}"
    assert called(capsys, wanted=1)["healthy"] and changes(host) == []


def test_one_that_does_not_start_or_falls_over_is_said(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "broken").touch()
    assert called(capsys)["msg"] == "worker@3: Job failed."
    (host / "broken").unlink()
    (host / "started").write_text("activating")
    found = called(capsys)
    assert not found.get("failed") and not found["healthy"]


def test_numbers_have_as_many_digits_as_the_programs_of_supervisord() -> None:
    instances = module_of("modules/unit_instances.py").instances
    given = {"name": "worker:worker_{id}", "first": 0, "digits": 2, "max": 2}
    assert instances(given) == ["worker:worker_00", "worker:worker_01"]


def test_the_memory_that_is_available_is_read_from_the_kernel(tmp_path: Path) -> None:
    module = module_of("modules/unit_instances.py")
    said = tmp_path / "meminfo"
    said.write_text("MemTotal:       2000 kB\nMemFree: 1 kB\nMemAvailable:    500 kB\n")
    assert module.memory_available(str(said)) == 25
    assert 0 < module.memory_available() < 100
