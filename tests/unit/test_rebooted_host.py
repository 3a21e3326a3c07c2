"""What reboots a host: when it refuses, in which order it works, what proves that it is back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.module_utils.testing import patch_module_args

from tests.role_code import module_of

HOOK = """\
#!/bin/sh
echo "$1" >> {root}/ran
[ ! -e {root}/$1-fails ] || {{ echo broken; exit 3; }}
"""
HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held")
input()
"""
SYSTEMCTL = """\
#!/bin/sh
case "$1" in is-system-running) cat {root}/state;; list-units) cat {root}/failed;; esac
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with a marker that asks for a reboot."""
    for name, text in {"hook": HOOK, "systemctl": SYSTEMCTL}.items():
        (tmp_path / name).write_text(text.format(root=tmp_path))
        (tmp_path / name).chmod(0o755)
    for name, text in {"state": "running\n", "failed": "", "marker": "", "lock": ""}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "updates").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def called(capsys: pytest.CaptureFixture[str], host: Path, **given: Any) -> Any:
    """What the module answers on a host that has been up for two hours."""
    module = module_of("modules/rebooted_host.py")
    module.uptime = lambda: 7200.5
    module.LOCKS, module.UPDATES = (str(host / "lock"),), str(host / "updates")
    module.KERNELS, module._POLL = str(host / "vmlinuz-*"), 0.05
    arguments: dict[str, Any] = {"markers": [str(host / "marker")], "settle": 0, **given}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


def hooks(host: Path, *names: str) -> dict[str, list[str]]:
    return {name: [str(host / "hook"), name] for name in names}


def ran(host: Path) -> list[str]:
    path = host / "ran"
    return path.read_text().split() if path.exists() else []


def test_a_marker_or_a_newer_kernel_asks_for_a_reboot(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(capsys, host)["reasons"] == [f"{host}/marker is there"]
    (host / "marker").unlink()
    assert called(capsys, host, min_uptime=10**9)["reasons"] == []  # and nothing is refused
    assert called(capsys, host, force=True)["reasons"] == ["asked for"]
    reasons = module_of("modules/rebooted_host.py").reasons
    assert reasons([], "6.1.0-9-amd64", ["6.1.0-9-amd64", "6.1.0-10-amd64"]) == [
        "kernel 6.1.0-9-amd64 runs, 6.1.0-10-amd64 is installed"
    ]
    assert reasons([], "6.1.0-10-amd64", ["6.1.0-9-amd64"]) == []


@pytest.mark.parametrize(
    ("said", "state", "given"),
    [
        ("booted 7200 s ago already, less than 9000", "running", {"min_uptime": 9000}),
        ("is starting", "starting", {}),
        ("is stopping", "stopping", {}),
    ],
)
def test_a_host_that_is_not_at_rest_does_not_reboot(
    host: Path, capsys: pytest.CaptureFixture[str], said: str, state: str, given: dict[str, Any]
) -> None:
    (host / "state").write_text(state)
    assert called(capsys, host, **given)["msg"] == f"the host {said}; it does not reboot."


def test_a_host_that_installs_packages_does_not_reboot(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [sys.executable, "-uc", HOLD, str(host / "lock")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, **pipes) as installing:  # type: ignore[call-overload]
        installing.stdout.readline()
        assert "is installing packages" in called(capsys, host)["msg"]
        installing.communicate(b"\n")
    assert "failed" not in called(capsys, host)
    (host / "updates/0001").touch()
    assert "packages that were left half installed" in called(capsys, host)["msg"]


def test_a_lock_is_asked_for_and_never_taken(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = module_of("modules/rebooted_host.py")
    taken: list[Any] = []
    monkeypatch.setattr(module.fcntl, "lockf", lambda *words: taken.append(words))
    assert not module.is_held(str(host / "lock")) and taken == []
    assert not module.is_held(str(host / "no-such-lock"))


def test_a_host_that_is_not_well_does_not_reboot(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "check-fails").touch()
    found = called(capsys, host, **hooks(host, "check", "drain", "undrain"))
    assert found["msg"] == (
        f"the host is not well: {host}/hook ended with 3: broken; it does not reboot."
    )
    assert ran(host) == ["check"]


def test_programs_that_others_can_change_are_not_run(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "hook").chmod(0o777)
    for phase in ("look", "drain", "back"):
        found = called(capsys, host, phase=phase, **hooks(host, "check", "drain", "undrain"))
        assert "everybody can write to" in found["msg"] and ran(host) == []


def test_a_host_that_is_well_again_is_put_back(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "marker").unlink()
    (host / "failed").write_text("old.service loaded failed failed Old\n")
    given = {"phase": "back", "failed_before": ["old.service"], **hooks(host, "check", "undrain")}
    found = called(capsys, host, **given)
    assert (found["healthy"], found["failed_units"]) == (True, [])
    assert ran(host) == ["check", "undrain"]


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("state", "starting\n", "is starting"),
        ("failed", "new.service loaded failed failed New\n", "new.service failed"),
        ("check-fails", "", "ended with 3: broken"),
        ("marker", "", "still needs a reboot"),
    ],
)
def test_a_host_that_is_not_well_stays_drained(
    host: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, said: str
) -> None:
    (host / "marker").unlink()
    (host / file).write_text(text)
    found = called(capsys, host, phase="back", **hooks(host, "check", "undrain"))
    assert not found["healthy"] and said in found["said"] and "undrain" not in ran(host)


class Host:
    """What the action sees: a host that is away for a while after its reboot."""

    def __init__(self, reasons: list[str], away: int = 2, transport: str = "ssh") -> None:
        self.reasons, self.away, self.transport = reasons, away, transport
        self.did: list[str] = []
        self.boots = 1

    def module(self, module_args: Mapping[str, Any], **_: Any) -> dict[str, Any]:
        phase = module_args["phase"]
        self.did.append(phase)
        return {
            "look": {"reasons": self.reasons, "failed_units": ["old.service"]},
            "drain": {"changed": True},
            "back": {"healthy": True, "said": "", "failed_units": []},
        }[phase]  # fmt: skip

    def command(self, text: str) -> dict[str, Any]:
        if text.startswith("cat"):
            if self.boots > 1 and self.away:
                self.away -= 1
                raise AnsibleConnectionFailure("no route to host")
            return {"rc": 0, "stdout": f"boot {self.boots}\n", "stderr": ""}
        self.did.append(text)
        self.boots += self.away >= 0
        raise AnsibleConnectionFailure("closed by remote host")

    def reset(self) -> None:
        """Nothing is kept open."""


@pytest.fixture
def action(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    module = module_of("action/rebooted_host.py")
    monkeypatch.setattr(module, "POLL", 0)
    monkeypatch.setattr(module.ActionBase, "run", lambda *_: {})

    def made(host: Host, check: bool = False, **args: Any) -> dict[str, Any]:
        one = object.__new__(module.ActionModule)
        one._task = SimpleNamespace(args=args, check_mode=check)
        one._connection = host
        one._execute_module = host.module
        one._low_level_execute_command = host.command
        found: dict[str, Any] = one.run()
        return found

    yield made


def test_it_drains_reboots_waits_and_puts_back(action: Any) -> None:
    host = Host(["marker is there"])
    dry = action(host, check=True, drain=["/out"], undrain=["/in"])
    assert (dry["changed"], dry["rebooted"], host.did) == (True, False, ["look"])
    found = action(host, drain=["/out"], undrain=["/in"])
    assert host.did[1:] == ["look", "drain", "shutdown -r now", "back"] and host.away == 0
    assert (found["changed"], found["rebooted"], found["healthy"]) == (True, True, True)
    assert dry["diff"] == found["diff"] == {
        "before": "needs a reboot: marker is there\n",
        "after": "drained by /out\nrebooted\nput back by /in\n",
    }  # fmt: skip


def test_a_host_that_needs_no_reboot_is_left_alone(action: Any) -> None:
    host = Host([])
    found = action(host, drain=["/out"])
    assert (found["changed"], found["healthy"], host.did) == (False, True, ["look"])


def test_a_host_of_the_same_boot_never_counts_as_rebooted(action: Any) -> None:
    host = Host(["marker is there"], away=-1)
    found = action(host, drain=["/out"], timeout=1)
    assert found["failed"] and not found["rebooted"] and "back" not in host.did
    assert found["msg"].endswith("within 1 s; it was drained before, and still is.")


def test_a_host_that_is_drained_and_does_not_reboot_is_said_to_be(action: Any) -> None:
    host = Host(["marker is there"])
    asked = host.command
    refused = {"rc": 1, "stdout": "", "stderr": "not now"}
    host.command = lambda text: asked(text) if text.startswith("cat") else refused  # type: ignore[method-assign]
    found = action(host, drain=["/out"])
    assert (found["failed"], found["changed"], found["rebooted"]) == (True, True, False)
    assert found["msg"] == (
        "the host was not rebooted: shutdown ended with 1: not now; "
        "it was drained before, and still is."
    )
    assert not action(host)["changed"]


def test_the_machine_that_runs_ansible_is_not_rebooted(action: Any) -> None:
    host = Host(["marker is there"], transport="local")
    found = action(host, drain=["/out"])
    assert found["msg"] == "the host is the machine that runs this." and host.did == ["look"]
