"""What an interrupted dpkg left is completed by a real dpkg, on records of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.called_module import called, stand_in
from tests.role_code import module_of

pytestmark = pytest.mark.skipif(
    shutil.which("dpkg-query") is None and not os.environ.get("CI"), reason="there is no dpkg"
)
STANZA = """\
Package: {name}
Status: install {flag} {state}
Maintainer: nobody <nobody@example.com>
Architecture: all
Version: 1.0
Description: x

"""
HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Records of dpkg without a package, and a dpkg that anybody may call."""
    for name in ("info", "triggers", "updates"):
        (tmp_path / "dpkg" / name).mkdir(parents=True)
    (tmp_path / "dpkg/info/format").write_text("1\n")
    (tmp_path / "dpkg/available").touch()
    force = "--force-not-root --force-script-chrootless --force-bad-path"
    stand_in(tmp_path, "as-nobody", f'exec dpkg --log={tmp_path}/log {force} "$@"')
    install(tmp_path)
    return tmp_path


def install(host: Path, script: str = "", **states: str) -> None:
    """Write down these packages, each with its flag and state."""
    text = ""
    for name, said in {"base": "ok installed", **states}.items():
        flag, state = said.split()
        text += STANZA.format(name=name, flag=flag, state=state)
        (host / f"dpkg/info/{name}.list").write_text("/.\n")
        post = host / f"dpkg/info/{name}.postinst"
        post.write_text(f"#!/bin/sh\n{script or f'echo {name} >>{host}/done'}\n")
        post.chmod(0o755)
    (host / "dpkg/status").write_text(text)


def repair(host: Path, capsys: pytest.CaptureFixture[str], **given: Any) -> dict[str, Any]:
    arguments = {"admin_dir": str(host / "dpkg"), "dpkg": str(host / "as-nobody")}
    return called(capsys, "configured_packages", **arguments | given)


def done(host: Path) -> list[str]:
    path = host / "done"
    return path.read_text().split() if path.exists() else []


@contextmanager
def held(
    host: Path, name: str = "lock-frontend", script: str = HOLD
) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody holds a lock of dpkg."""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(host / "dpkg" / name)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout
        child.stdout.readline()
        yield child
        child.kill()


def test_what_was_interrupted_is_shown_and_completed(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(host, shop="ok half-configured", tool="ok unpacked", gone="ok config-files")
    shown = repair(host, capsys, _ansible_check_mode=True)
    assert (shown["changed"], shown["repaired"], done(host)) == (True, False, [])
    found = repair(host, capsys)
    assert (found["changed"], found["repaired"]) == (True, True)
    assert sorted(done(host)) == ["shop", "tool"]
    assert found["diff"] == shown["diff"] == {
        "before": "shop: half-configured\ntool: unpacked\n",
        "after": "shop: installed\ntool: installed\n",
    }  # fmt: skip
    assert not repair(host, capsys)["changed"]


def test_records_that_were_not_merged_are(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = STANZA.format(name="late", flag="ok", state="installed")
    (host / "dpkg/info/late.list").write_text("/.\n")
    (host / "dpkg/updates/0001").write_text(entry)
    found = repair(host, capsys)
    assert (found["changed"], found["repaired"]) == (True, True)
    assert found["diff"]["before"] == "dpkg: interrupted\n"
    assert "Package: late" in (host / "dpkg/status").read_text()


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ({"shop": "ok half-installed"}, "shop: only half installed, which must be installed anew"),
        ({"shop": "reinstreq installed"}, "shop: only half installed"),
    ],
)
def test_a_half_package_is_for_a_person(
    host: Path, capsys: pytest.CaptureFixture[str], states: dict[str, str], said: str
) -> None:
    install(host, **states, tool="ok unpacked")
    for check in (True, False):
        found = repair(host, capsys, _ansible_check_mode=check)
        assert said in found["msg"] and done(host) == []


@pytest.mark.parametrize("name", ["lock-frontend", "lock"])
def test_nothing_is_done_while_somebody_holds_a_lock(
    host: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    install(host, shop="ok half-configured")
    with held(host, name) as child:
        found = repair(host, capsys, stale_programs=[comm(child.pid)])
        assert "holds the lock of dpkg, for 0 min at most; no package was" in found["msg"]
        assert child.poll() is None and done(host) == []


def test_a_lock_that_nobody_holds_is_no_hindrance(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(host, shop="ok half-configured")
    (host / "dpkg/lock-frontend").touch()
    assert repair(host, capsys)["repaired"]


def comm(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def test_a_stale_holder_is_ended_only_where_the_inventory_says_so(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(host, shop="ok half-configured")
    with held(host) as child:
        given: dict[str, Any] = {"stale_seconds": 0, "stale_programs": [comm(child.pid)]}
        found = repair(host, capsys, **given)
        assert "and the inventory does not allow to end it" in found["msg"]
        assert "holds the lock" in repair(host, capsys, stale_seconds=0, end_stale=True)["msg"]
        found = repair(host, capsys, **given, end_stale=True, _ansible_check_mode=True)
        assert found["changed"] and child.poll() is None
        found = repair(host, capsys, **given, end_stale=True)
        assert child.wait(10) != 0
    assert (found["repaired"], found["ended"]) == (True, given["stale_programs"])
    assert f"{given['stale_programs'][0]}: holds the lock\n" in found["diff"]["before"]


HOLD_OPEN_FILE = HOLD.replace(
    "fcntl.lockf(file, fcntl.LOCK_EX)",
    'import struct; fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))',
)
GIVEN = {"stale_seconds": 0, "stale_programs": ["apt-get"], "end_stale": True}


@pytest.mark.parametrize("more", [{}, {"end_stale": True, "stale_seconds": 0}])
def test_a_lock_of_an_open_file_names_nobody_and_ends_nobody(
    host: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    more: dict[str, Any],
) -> None:
    install(host, shop="ok half-configured")
    sent: list[Any] = []
    monkeypatch.setattr(os, "kill", lambda *words: sent.append(words))
    with held(host, script=HOLD_OPEN_FILE):  # the kernel says that process -1 holds it
        for check in (True, False):
            found = repair(host, capsys, **more, _ansible_check_mode=check)
            assert "somebody who cannot be named holds the lock of dpkg; no pack" in found["msg"]
        assert (sent, done(host)) == ([], [])


@pytest.mark.parametrize("pid", [0, -1, -7])
def test_a_holder_without_a_number_of_this_host_is_refused(
    monkeypatch: pytest.MonkeyPatch, pid: int
) -> None:
    module = module_of("modules/configured_packages.py")
    answer = module.struct.pack(module.FLOCK, module.fcntl.F_WRLCK, 0, 0, 0, pid)
    monkeypatch.setattr(module.fcntl, "fcntl", lambda *_: answer)
    with pytest.raises(module.Refused, match="cannot be named"):
        module.holder(3)


@pytest.mark.parametrize("handles", [True, False])
def test_only_the_very_process_that_was_looked_at_is_ended(
    monkeypatch: pytest.MonkeyPatch, handles: bool
) -> None:
    module = module_of("modules/configured_packages.py")
    if not handles:
        monkeypatch.delattr(os, "pidfd_open")
    with subprocess.Popen(["sleep", "60"]) as child:
        seen = module.described(child.pid)
        module.ask_to_end(seen._replace(started=seen.started - 1))  # who had the number before
        assert child.poll() is None
        module.ask_to_end(seen)
        assert child.wait(10) == -15
    module.ask_to_end(seen)
    sent: list[Any] = []
    monkeypatch.setattr(os, "kill", lambda *words: sent.append(words))
    monkeypatch.setattr(module, "described", lambda pid: seen._replace(pid=pid))
    module.ask_to_end(seen._replace(pid=-1))
    assert sent == []


@pytest.mark.parametrize(
    ("looks", "said"),
    [([[7], [7]], "not seen before"), ([[7], [8]], "not seen before"), ([[7], []], "")],
    ids=["nothing in proc", "another took it", "it is free"],
)
def test_who_holds_it_is_asked_again_where_a_holder_is_gone(
    monkeypatch: pytest.MonkeyPatch, looks: list[list[int]], said: str
) -> None:
    module = module_of("modules/configured_packages.py")
    monkeypatch.setattr(module, "holders", lambda admin: looks.pop(0))
    monkeypatch.setattr(module, "described", lambda pid: None)
    if said:
        with pytest.raises(module.Refused, match=said):
            module.stale("/x", GIVEN)
    else:
        assert module.stale("/x", GIVEN) == []


def test_whoever_sits_at_a_terminal_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of("modules/configured_packages.py")
    monkeypatch.setattr(module, "holders", lambda admin: [7])
    monkeypatch.setattr(module, "described", lambda pid: module.Holder(pid, 1, "apt-get", True))
    with pytest.raises(module.Refused, match="somebody sits at its terminal"):
        module.stale("/x", GIVEN)


@pytest.mark.parametrize(
    ("script", "given", "said"),
    [("exit 3", {}, "exit status 3"), ("sleep 60", {"timeout": 1}, "did not end within 1 s")],
)
def test_a_script_that_fails_or_hangs_is_told(
    host: Path,
    capsys: pytest.CaptureFixture[str],
    script: str,
    given: dict[str, int],
    said: str,
) -> None:
    install(host, script, shop="ok half-configured")
    found = repair(host, capsys, **given)
    assert (found["changed"], found["repaired"]) == (True, False)
    assert said in found["said"]


def test_records_that_lie_behind_a_link_are_refused(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "elsewhere").symlink_to(host / "dpkg")
    found = repair(host, capsys, admin_dir=str(host / "elsewhere"))
    assert "is a link; name the place itself; no package was touched." in found["msg"]
