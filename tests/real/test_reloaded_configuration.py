"""A configuration is loaded only when its own check accepts it; two checks are the real ones."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.called_module import called, stand_in
from tests.role_code import ROLES, module_of

#: The unit's process is one that lives; a reload is noted, and may take the unit down.
SYSTEMCTL = """
cd {root}
case "$*" in
  *StateChange*) echo StateChangeTimestampMonotonic=$(cat loaded);;
  show*) printf 'LoadState=%s\\nActiveState=%s\\nMainPID=%s\\n' $(cat state);;
  reload*) echo $1 >>done; [ -e falls ] && echo loaded failed 0 >state; echo 1 >metric; :;;
esac
"""
CHECK = """
cd {root}
id -u >uid
[ -e slow ] && sleep 60
grep -q good app.conf || {{ printf 'line 3:\\033[31m\\n{{{{ broken }}}}\\n'; exit 1; }}
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A unit that runs, and whose configuration is newer than what it has loaded."""
    process = subprocess.Popen(["sleep", "60"])
    stand_in(tmp_path, "systemctl", SYSTEMCTL.format(root=tmp_path))
    stand_in(tmp_path, "check", CHECK.format(root=tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name, text in {
        "state": f"loaded active {process.pid}", "loaded": "1", "app.conf": "good", "done": "",
        "metric": "0",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    yield tmp_path
    process.kill()
    process.wait()


@pytest.fixture
def metrics(host: Path) -> Iterator[str]:
    """The service's own word, as Prometheus gives it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            value = (host / "metric").read_text().strip()
            self.wfile.write(f"# HELP x\nx_config_last_reload_successful {value}\n".encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    served = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}/metrics"
    served.shutdown()
    served.server_close()
    thread.join()


def reload(host: Path, capsys: pytest.CaptureFixture[str], **given: Any) -> dict[str, Any]:
    arguments = {"check": ["check"], "files": [str(host / "app.conf")], "settle_seconds": 0}
    return called(capsys, "reloaded_configuration", name="app", **arguments | given)


def done(host: Path) -> str:
    return (host / "done").read_text().strip()


def test_a_newer_configuration_is_checked_shown_and_loaded(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = reload(host, capsys, _ansible_check_mode=True)
    assert (shown["changed"], shown["loaded"], done(host)) == (True, False, "")
    assert (host / "uid").read_text().strip() == str(os.geteuid())
    found = reload(host, capsys)
    assert (found["changed"], found["loaded"], done(host)) == (True, True, "reload")
    assert found["diff"] == shown["diff"]
    assert "newer than what it has loaded" in found["diff"]["before"]


def test_what_is_loaded_is_left_alone(host: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (host / "loaded").write_text(f"{10**15}")
    found = reload(host, capsys)
    assert (found["changed"], found["loaded"], done(host)) == (False, True, "")


def test_the_services_own_word_counts(
    host: Path, metrics: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = reload(host, capsys, files=[], metric_url=metrics)
    assert (found["changed"], found["loaded"], done(host)) == (True, True, "reload")
    assert found["before"] == "its last reload failed"
    assert not reload(host, capsys, files=[], metric_url=metrics)["changed"]


@pytest.mark.parametrize(
    ("broken", "given", "said"),
    [
        ({"app.conf": "bad"}, {}, "app: its configuration is refused by check: line 3:?[31m / {{"),
        ({"slow": ""}, {"check_timeout": 1}, "app: its check did not end within 1 s; nothing was"),
        ({"state": "not-found inactive 0"}, {}, "systemd has no unit app (not-found/inactive)."),
        ({"state": "loaded failed 0"}, {}, "app does not run (loaded/failed), and a reload starts"),
        ({}, {"check": ["no-such-check"]}, "there is no program no-such-check to check"),
        ({}, {"check": []}, "app: no command checks its configuration; nothing was loaded."),
    ],
)
def test_it_refuses_before_it_loads_anything(
    host: Path,
    capsys: pytest.CaptureFixture[str],
    broken: dict[str, str],
    given: dict[str, Any],
    said: str,
) -> None:
    for name, text in broken.items():
        (host / name).write_text(text)
    for check in (True, False):
        found = reload(host, capsys, **given, _ansible_check_mode=check)
        assert found["failed"] and said in found["msg"] and done(host) == ""


def test_only_the_end_of_what_a_check_says_is_kept() -> None:
    module = module_of("modules/reloaded_configuration.py")
    script = "head -c 300000 /dev/zero; echo last"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as child:
        said = module.end_of(child, 60)
    assert said.endswith(b"\0last\n") and len(said) == module.MOST_SAID


def test_an_answer_in_drops_is_none() -> None:
    fetch = module_of("modules/reloaded_configuration.py").fetch
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            with server.accept()[0] as one:
                one.recv(65536)  # what is left unread would reset the connection
                one.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                for _ in range(25):  # without a bound on the whole, it is read to its end
                    if not done.wait(0.1):
                        one.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        assert fetch(f"http://127.0.0.1:{server.getsockname()[1]}/", 1, 100) == (0, "")
        done.set()
        thread.join()


def test_a_unit_that_falls_over_has_loaded_nothing(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "falls").touch()
    found = reload(host, capsys)
    assert (found["changed"], found["loaded"]) == (True, False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights that the check must not have")
def test_the_check_has_no_more_rights_than_the_service(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weak = subprocess.Popen(["sleep", "60"], user=65534, group=65534, extra_groups=[])
    try:
        (host / "state").write_text(f"loaded active {weak.pid}")
        # Who may not even reach the folder cannot tell anybody what is in it.
        found = reload(host, capsys, check=["sh", "-c", "id -u; id -G; false"])
        assert "refused by sh: 65534 / 65534;" in found["msg"]
    finally:
        weak.kill()
        weak.wait()


def shipped(name: str) -> dict[str, Any]:
    defaults = yaml.safe_load((ROLES / "configuration_reload/defaults/main.yml").read_text())
    services = {each["name"]: each for each in defaults["configuration_reload_services"]}
    return dict(services[name])


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("prometheus", "global: {scrape_interval: 15s}\n", "global: {scrape_interval: x}\n"),
        ("alertmanager", "route: {receiver: a}\nreceivers: [{name: a}]\n", "route: {}\n"),
    ],
)
def test_the_shipped_checks_are_those_of_the_real_tools(
    tmp_path: Path, name: str, good: str, bad: str
) -> None:
    words = shipped(name)["check"]
    if shutil.which(words[0]) is None and not os.environ.get("CI"):
        pytest.skip(f"{words[0]} is not installed")
    module = module_of("modules/reloaded_configuration.py")
    path = tmp_path / "config.yml"
    words[-1] = str(path)
    path.write_text(good)
    module.checked(words, os.getpid(), 30)
    path.write_text(bad)
    with pytest.raises(module.Refused, match=f"is refused by {words[0]}"):
        module.checked(words, os.getpid(), 30)


def test_files_below_a_directory_count_and_links_are_not_walked(tmp_path: Path) -> None:
    module = module_of("modules/reloaded_configuration.py")
    (tmp_path / "etc/conf.d").mkdir(parents=True)
    (tmp_path / "etc/conf.d/a").write_text("a")
    (tmp_path / "etc/all").symlink_to(tmp_path)
    assert sorted(os.path.basename(path) for path in module.below([str(tmp_path / "etc")])) == [
        "a", "all", "conf.d", "etc",
    ]  # fmt: skip
    assert module.changed_at([str(tmp_path / "no-such")]) == 0
    assert module.changed_at([str(tmp_path)]) >= (tmp_path / "etc/conf.d/a").stat().st_mtime
