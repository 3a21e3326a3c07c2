"""The module that has certificates renewed, against programs and a server of ours."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.role_code import module_of

#: In the place of certbot: a certificate of so many days for the key that is there.
CERTBOT = """\
#!/bin/sh
cd {root}
echo run >> ran
[ "$1" != fail ] || {{ echo 'Some challenges have failed.' >&2; exit 1; }}
[ "$1" != 0 ] || exit 0
openssl req -x509 -new -key key.pem -subj /CN=shop.example.com -days $1 -out archive/cert1.pem
"""
SYSTEMCTL = """\
#!/bin/sh
for unit in "$@"; do :; done
echo "$1 $unit" >> {root}/asked
case "$1 $unit" in
  'show other.service') echo LoadState=masked;;
  show*) echo LoadState=loaded;;
  'start slow.service') exec sleep 60;;
  'start certbot.service') {root}/certbot 90;;
esac
"""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate that ends in five days, behind a link as certbot makes them."""
    for name, text in {"certbot": CERTBOT, "systemctl": SYSTEMCTL}.items():
        (tmp_path / name).write_text(text.format(root=tmp_path))
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name in ("live", "archive"):
        (tmp_path / name).mkdir()
    (tmp_path / "live/cert.pem").symlink_to("../archive/cert1.pem")
    key = ("openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", "key.pem")
    subprocess.run(key, cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "certbot", "5"], check=True)
    (tmp_path / "ran").unlink()
    return tmp_path


def called(
    capsys: pytest.CaptureFixture[str],
    host: Path,
    *,
    check: bool = False,
    name: str = "https://shop.example.com/health",
    timeout: int = 600,
    **given: Any,
) -> Any:
    certificate = {"name": "shop", "names": ["shop.example.com"], "path": f"{host}/live/cert.pem"}
    certificate |= given
    if "unit" not in certificate:
        certificate.setdefault("command", [f"{host}/certbot", "90"])
    arguments = {"name": name, "certificates": [certificate], "settle_retries": 2}
    arguments["timeout"] = timeout
    module = module_of("modules/acme_certificate.py")
    with patch_module_args({**arguments, "_ansible_check_mode": check}), pytest.raises(SystemExit):
        module.main()
    return json.loads(capsys.readouterr().out)


def asked(host: Path) -> list[str]:
    path = host / "asked"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in lines if not line.startswith("show")]


def ran(host: Path) -> bool:
    return (host / "ran").exists()


def test_the_command_of_cron_renews_it_and_the_new_end_is_read(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dry = called(capsys, host, check=True)
    assert (dry["changed"], dry["valid"], ran(host)) == (True, False, False)
    found = called(capsys, host)
    assert (found["changed"], found["valid"], ran(host)) == (True, True, True)
    assert dry["ended"] == found["ended"] < found["ends"]
    assert dry["diff"] == found["diff"] == {
        "before": f"shop: ends {found['ended']}\n",
        "after": f"shop: renewed by {host}/certbot 90\n",
    }  # fmt: skip
    again = called(capsys, host)
    assert (again["changed"], again["valid"], again["ends"]) == (False, True, found["ends"])


def test_the_unit_of_the_timer_renews_it_and_the_service_reads_it(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = called(capsys, host, unit="certbot.service", reload="nginx")
    assert found["valid"] and asked(host) == ["start certbot.service", "reload nginx"]
    assert found["diff"]["after"].endswith("nginx: reloaded\n")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"name": "https://other.example.com/"}, "is no certificate of this host; there are: shop"),
        ({"name": "http://["}, "is no certificate of this host"),
        ({"path": "/no-such-folder/cert.pem"}, "there is no certificate /no-such-folder/cert.pem"),
        ({"unit": "other.service"}, "systemd has no unit other.service that it could start"),
        ({"command": ["certbot"]}, "is not an absolute path of plain names"),
        ({"command": ["/no-such-program"]}, "there is no program /no-such-program"),
    ],
)
def test_it_refuses_before_anything_is_started(
    host: Path, capsys: pytest.CaptureFixture[str], given: dict[str, Any], sentence: str
) -> None:
    for check in (True, False):
        found = called(capsys, host, check=check, **given)
        assert found["failed"] and sentence in found["msg"]
    assert not ran(host) and asked(host) == []


def test_a_unit_that_does_not_end_is_not_waited_for(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = called(capsys, host, unit="slow.service", timeout=1)
    assert found["msg"] == "slow.service failed: exit status 124; nothing more was done."


def test_a_renewal_that_fails_or_renews_nothing_is_said(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = called(capsys, host, command=[f"{host}/certbot", "fail"])
    assert found["msg"].startswith(f"{host}/certbot ended with 1: Some challenges have failed.")
    found = called(capsys, host, command=[f"{host}/certbot", "0"])
    assert "went well, and the certificate ends at" in found["msg"]
    found = called(capsys, host, command=[f"{host}/certbot", "6"])
    assert found["changed"] and not found["valid"]


def test_a_link_that_others_can_change_leads_nowhere(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "live").chmod(0o777)
    assert "everybody can write to" in called(capsys, host)["msg"]
    (host / "live").chmod(0o755)
    (host / "certbot").chmod(0o777)
    assert "everybody can write to" in called(capsys, host)["msg"] and not ran(host)


def test_a_file_without_a_certificate_is_not_shown(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host / "archive/cert1.pem").write_text("a secret\n")
    found = called(capsys, host)
    assert found["msg"] == f"{host}/archive/cert1.pem holds no certificate; nothing more was done."


@pytest.fixture
def server(host: Path) -> Iterator[str]:
    """A service that serves the certificate which was there when it began."""
    serving = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(host / "live/cert.pem", host / "key.pem")
    serving.socket = context.wrap_socket(serving.socket, server_side=True)
    serving.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()
    thread.join()


def test_what_is_served_must_be_the_new_one(
    host: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = called(capsys, host, served=server)
    assert found["changed"] and not found["valid"]
    stale = called(capsys, host, served=server)
    assert f"{server} shows another certificate than the file holds" in stale["msg"]
    os.remove(host / "ran")
    found = called(capsys, host, served=server, reload="nginx")
    assert asked(host) == ["reload nginx"] and not ran(host) and not found["valid"]
    assert found["diff"]["before"].endswith("another certificate is served\n")


def test_a_service_that_serves_it_is_left_alone(
    host: Path, server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = module_of("modules/acme_certificate.py")
    pem = (host / "live/cert.pem").read_text()
    one = {"served": server, "names": [], "name": "shop.example.com"}
    assert module.is_served(one, pem, 1)
    assert not module.is_served({**one, "served": "127.0.0.1:1"}, pem, 1)
    assert not module.is_served({**one, "served": "nonsense"}, pem, 1)
