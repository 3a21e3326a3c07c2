"""Which unit leaks: the largest twice, large enough, the same process, and allowed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.called_module import called, stand_in
from tests.role_code import module_of

#: A restart gives the unit another process, and takes its memory away.
SYSTEMCTL = """
cd {root}
case "$1" in
  show) printf 'LoadState=loaded\\nActiveState=%s\\nMainPID=%s\\n' $(cat state);;
  restart) echo "$3" >>done; cat after >state;;
esac
"""
PERCENT = 10_000  #: bytes that are a percent of the stand-in's memory


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    stand_in(tmp_path, "systemctl", SYSTEMCTL.format(root=tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name, text in {"state": "active 7", "after": "active 8", "done": ""}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def leak(
    capsys: pytest.CaptureFixture[str], *looks: dict[str, int], **given: Any
) -> dict[str, Any]:
    """What the module answers where the units take these percents, one look after the other."""
    module = module_of("modules/leaking_unit.py")
    left = list(looks)

    def shares(_: object) -> list[Any]:
        now = left.pop(0) if len(left) > 1 else left[0]
        found = [module.Share(unit, percent * PERCENT) for unit, percent in now.items()]
        return sorted(found, key=lambda one: -one.memory)

    module.shares, module.total = shares, lambda: 100 * PERCENT
    arguments = {"allowed": ["app"], "percent": 40, "window": 0, "settle_seconds": 0}
    return called(capsys, module, **arguments | given)


def done(host: Path) -> str:
    return (host / "done").read_text().strip()


GROWN, MORE, SMALL = {"app.service": 50, "db.service": 30}, {"app.service": 51}, {"app.service": 2}


def test_what_leaks_is_restarted_and_proven(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = leak(capsys, GROWN, MORE, _ansible_check_mode=True)
    assert (shown["changed"], shown["unit"], done(host)) == (True, "app.service", "")
    found = leak(capsys, GROWN, MORE, SMALL)
    assert (found["changed"], found["healthy"], done(host)) == (True, True, "app.service")
    assert (found["percent_after"], found["diff"]) == (2, shown["diff"])
    assert "51" not in found["diff"]["before"]  # what grows must not change an approved plan


@pytest.mark.parametrize(
    "looks",
    [
        ({"app.service": 39, "db.service": 20},),
        (GROWN, {"app.service": 49}),
        (GROWN, {"db.service": 60, "app.service": 50}),
        ({},),
    ],
    ids=["too small", "becomes smaller", "another is larger later", "no units"],
)
def test_what_was_not_seen_twice_is_left_alone(
    host: Path, capsys: pytest.CaptureFixture[str], looks: tuple[dict[str, int], ...]
) -> None:
    found = leak(capsys, *looks)
    assert (found["changed"], found["unit"], found["healthy"]) == (False, "", True)
    assert done(host) == ""


def test_a_process_that_was_replaced_meanwhile_is_not_the_same(
    host: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(host, "systemctl", f"echo ActiveState=active; echo MainPID=$$; echo >>{host}/asked")
    assert not leak(capsys, GROWN, MORE)["changed"]


@pytest.mark.parametrize("allowed", [[], ["app"], ["db.servic"], ["*"]])
def test_the_largest_is_refused_unless_the_inventory_names_it(
    host: Path, capsys: pytest.CaptureFixture[str], allowed: list[str]
) -> None:
    for check in (True, False):
        found = leak(capsys, {"db.service": 60}, allowed=allowed, _ansible_check_mode=check)
        assert "db.service takes 60 % of the memory, more than any other, and the" in found["msg"]
        assert done(host) == ""


@pytest.mark.parametrize(
    ("after", "last"), [("failed 0", SMALL), ("active 8", GROWN)], ids=["falls over", "leaks on"]
)
def test_a_restart_that_did_not_help_is_not_called_healthy(
    host: Path, capsys: pytest.CaptureFixture[str], after: str, last: dict[str, int]
) -> None:
    (host / "after").write_text(after)
    found = leak(capsys, GROWN, MORE, last)
    assert (found["changed"], found["healthy"]) == (True, False)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/app.service\n", "app.service"),
        ("0::/system.slice/app.service/worker.service\n", "app.service"),
        ("0::/user.slice/user-7.slice/user@7.service/app.slice/db.service\n", "user@7.service"),
        ("0::/system.slice/docker-12.scope\n", "docker-12.scope"),
        ("3:memory:/x.service\n1:name=systemd:/system.slice/app.service\n", "app.service"),
        ("0::/a.slice/a-b.slice/app.service\n", "app.service"),
        ("0::/lxc.payload.c1/system.slice/app.service\n", ""),
        ("0::/docker/abc/system.slice/app.service\n", ""),
        ("0::/kubepods/burstable/pod1/app.service\n", ""),
        ("0::/../system.slice/app.service\n", ""),
        ("0::/init.scope/system.slice/app.service\n", "init.scope"),
        ("0::/init\n", ""),
        ("", ""),
    ],
)
def test_a_users_own_unit_never_counts_as_one_of_the_system(text: str, unit: str) -> None:
    assert module_of("modules/leaking_unit.py").unit_of(text) == unit


def test_the_memory_of_a_real_process_and_its_family_is_seen() -> None:
    module = module_of("modules/leaking_unit.py")
    code = "import os, sys; kept = b'x' * (32 << 20); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout and child.stdin
        child.stdout.readline()
        assert 32 << 20 <= module.own_memory(child.pid) < 64 << 20
        assert child.pid in module.family(os.getpid(), module.processes())
        child.stdin.close()
    assert module.own_memory(child.pid) == 0
    assert module.family(child.pid, module.processes()) == []
