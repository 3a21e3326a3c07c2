"""The module that looks, decides, restarts and proves, run against a systemctl of ours."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.role_code import module_of

SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> {root}/asked
case "$1" in
  show) cat {root}/state;;
  restart) cat {root}/restarted > {root}/state; exit $(cat {root}/code);;
esac
"""
FAILED = "LoadState=loaded\nActiveState=failed\nSubState=failed\nMainPID=0\n"
FINE = "LoadState=loaded\nActiveState=active\nSubState=running\nMainPID=7\n"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemd that has one failed unit, which a restart heals."""
    program = tmp_path / "systemctl"
    program.write_text(SYSTEMCTL.format(root=tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name, text in {"state": FAILED, "restarted": FINE, "code": "0", "asked": ""}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def asked(host: Path) -> list[str]:
    return [line.split()[0] for line in (host / "asked").read_text().splitlines()]


def called(capsys: pytest.CaptureFixture[str], *, check: bool = False, **given: Any) -> Any:
    """What the module answers."""
    module = module_of("modules/healthy_unit.py")
    arguments = {"name": "app", "settle_seconds": 0, "settle_retries": 0, **given}
    arguments["_ansible_check_mode"] = check
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def server() -> Iterator[str]:
    """A service that answers /fine with 200, /way by a redirect to it, all else with 503."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("Authorization") == "Basic YW5uOnAgdw=="
            codes = {"/fine": 200, "/way": 302, "/secret": 200 if known else 401}
            self.send_response(codes.get(self.path, 503))
            self.send_header("Location", "/fine")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    served = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()
    thread.join()


def test_a_failed_unit_is_restarted_and_proven(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = called(capsys)
    assert asked(host) == ["show", "restart", "show", "show"]
    assert (found["changed"], found["healthy"]) == (True, True)
    assert found["before"]["name"] == "loaded/failed/failed"
    assert found["after"] == {
        "known": True, "active": True, "name": "loaded/active/running", "pid": 7,
    }  # fmt: skip
    assert found["processes"][0].split()[:2] == ["PID", "PPID"]


def test_a_dry_run_reads_only_and_shows_what_the_run_does(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dry = called(capsys, check=True)
    assert asked(host) == ["show"]
    run = called(capsys)
    assert dry["diff"] == run["diff"] == {
        "before": "app: loaded/failed/failed\n", "after": "app: active, a new process\n",
    }  # fmt: skip
    assert (dry["changed"], dry["healthy"]) == (True, False)


def test_a_healthy_unit_is_left_alone_unless_it_is_forced(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "state").write_text(FINE)
    found = called(capsys)
    assert (found["changed"], found["healthy"], asked(host)) == (False, True, ["show"])
    assert called(capsys, force=True)["restarted"] and "restart" in asked(host)


def test_a_unit_that_does_not_answer_is_restarted_and_said_to_be_unhealthy(
    host: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "state").write_text(FINE)
    assert not called(capsys, probe_url=f"{server}/fine")["restarted"]
    found = called(capsys, probe_url=f"{server}/other", settle_retries=1)
    assert (found["restarted"], found["answers"], found["healthy"]) == (True, False, False)
    assert found["diff"]["before"] == "app: loaded/active/running, no answer\n"


def test_a_unit_that_fell_over_again_is_not_healthy(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "restarted").write_text(FAILED)
    found = called(capsys)
    assert (found["changed"], found["healthy"]) == (True, False)


def test_a_unit_that_was_started_twice_is_not_healthy(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = host / "systemctl"
    program.write_text(program.read_text().replace(
        f"show) cat {host}/state;;", f"show) cat {host}/state | sed s/=7/=$$/;;",
    ))  # fmt: skip
    assert not called(capsys)["healthy"]


def test_a_restart_that_fails_says_why(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (host / "code").write_text("1")
    found = called(capsys)
    assert found["failed"] and found["msg"] == "app did not start: exit status 1"


@pytest.mark.parametrize("state", ["LoadState=masked\nActiveState=inactive\n", ""])
def test_a_unit_that_cannot_be_started_is_refused(
    host: Path, state: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "state").write_text(state)
    found = called(capsys)
    assert found["failed"] and "systemd has no unit app that it could start" in found["msg"]
    assert "restart" not in asked(host)


@pytest.mark.parametrize("name", ["--all", "all", "group:*"])
def test_a_name_that_is_not_of_one_unit_is_refused(
    host: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(capsys, name=name)["failed"] and asked(host) == []


def test_the_service_is_asked_by_http_only(server: str, tmp_path: Path) -> None:
    answers = module_of("modules/healthy_unit.py").answers
    (tmp_path / "file").touch()
    assert answers(f"{server}/fine", 200, 5)
    assert answers(f"{server}/way", 200, 5)
    assert answers(f"{server}/other", 503, 5) and not answers(f"{server}/other", 200, 5)
    assert answers(server.replace("//", "//ann:p%20w@") + "/secret", 200, 5)
    for url in (
        f"file://{tmp_path}/file",
        "http://127.0.0.1:1/",
        "http://[",
        "nonsense",
        "http:///",
    ):
        assert not answers(url, 200, 1)
