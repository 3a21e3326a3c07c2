"""Who may do what: the whole matrix, on the real server."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner import config
from runner.config import Config, Listen
from runner.errors import ConfigError
from runner.web import logins
from runner.web.app import create_app
from runner.web.auth import Gate, Permission, problems
from tests import web_site


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong credential is answered at once; test_web_limits.py shows that it is not."""
    monkeypatch.setattr(logins, "LONGEST_DELAY", 0.0)


#: Request → the least of these who may: w(ebhook), v(iewer), a(pprover), A(dmin), or nobody.
#: The answer to those who may is what an empty store gives.
ROUTES = [
    ("POST", "/api/v1/alerts", "wA", 200),
    ("GET", "/metrics", "wvaA", 200),
    ("GET", "/api/v1/incidents", "vaA", 200),
    ("GET", "/api/v1/incidents/7", "vaA", 404),
    ("POST", "/api/v1/incidents/7/cancel", "aA", 404),
    ("POST", "/api/v1/incidents/7/retry", "A", 404),
    ("POST", "/api/v1/incidents/7/propose", "A", 404),
    ("GET", "/api/v1/approvals", "vaA", 200),
    ("GET", "/api/v1/approvals/7", "vaA", 404),
    ("GET", "/api/v1/approvals/7/pack", "vaA", 404),
    ("POST", "/api/v1/approvals/7", "aA", 404),
    ("POST", "/api/v1/runs", "A", 404),
    ("GET", "/api/v1/catalog", "vaA", 200),
    ("GET", "/api/v1/catalog/none", "vaA", 404),
    ("POST", "/api/v1/pause", "aA", 200),
    ("POST", "/api/v1/resume", "A", 200),
    ("GET", "/api/v1/audit", "vaA", 200),
    ("GET", "/api/v1/dead-letters", "vaA", 200),
    ("GET", "/api/v1/dead-letters/7", "vaA", 404),
    ("POST", "/api/v1/dead-letters/7/replay", "A", 404),
    ("POST", "/api/v1/sources/none", "", 403),
    ("GET", "/api/v1/openapi.json", "vaA", 200),
    ("GET", "/", "vaA", 200),
    ("GET", "/incidents/7", "vaA", 404),
    ("GET", "/approvals", "vaA", 200),
    ("GET", "/approvals/7", "vaA", 404),
    ("GET", "/approvals/7/file", "vaA", 404),
    ("GET", "/catalog", "vaA", 200),
    ("GET", "/catalog/restart_service", "vaA", 200),
    ("POST", "/approvals/7", "aA", 404),
    ("POST", "/incidents/7/cancel", "aA", 404),
    ("POST", "/incidents/7/retry", "A", 404),
    ("POST", "/incidents/7/propose", "A", 404),
    ("GET", "/static/style.css", "vaA", 200),
    ("DELETE", "/api/v1/incidents/7", "A", 405),
    ("POST", "/not/there", "A", 404),
]
BODIES: dict[str, Any] = {
    "/api/v1/approvals/7": {"answer": "denied", "plan": web_site.PLAN},
    "/api/v1/incidents/7/propose": {"entry": "restart_service"},
    "/api/v1/runs": {"entry": "none", "hosts": ["web1.example.com"]},
}
WHO = {"w": web_site.ALERTMANAGER, "v": web_site.VERA, "a": web_site.ANNA, "A": web_site.ADAM}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Any:
    opened = web_site.project(tmp_path_factory.mktemp("guarded"), web_site.GUARDED)
    with web_site.site(opened) as client:
        yield client


def send(client: httpx.Client, method: str, path: str, headers: Any) -> httpx.Response:
    if method != "POST":
        return client.request(method, path, headers=headers)
    if path == "/api/v1/alerts":
        json = {"Content-Type": "application/json"}
        return client.post(path, content=web_site.body(), headers=headers | json)
    if path.startswith("/api/"):
        return client.post(path, json=BODIES.get(path, {}), headers=headers)
    return client.post(path, data={"answer": "denied"}, headers=headers)


@pytest.mark.parametrize(("method", "path", "allowed", "status"), ROUTES)
def test_every_route_is_open_to_its_roles_only(
    guarded: httpx.Client, method: str, path: str, allowed: str, status: int
) -> None:
    for who, headers in WHO.items():
        if path.endswith("/resume") and who == "A":
            send(guarded, "POST", "/api/v1/pause", web_site.ADAM)
        answer = send(guarded, method, path, headers)
        assert answer.status_code == (status if who in allowed else 403), (who, answer.text)


#: None of these is a credential; an empty one is tried on the gate itself below.
WRONG = [
    None,
    "",
    "Bearer",
    "Bearer token-of-adam2",
    "Bearer \xff\xfe",
    "Basic ???",
    "Basic " + base64.b64encode(b"anna").decode(),
    "Basic " + base64.b64encode(b"anna:").decode(),
    "Basic " + base64.b64encode(b"nobody:word-of-anna").decode(),
    "Basic " + base64.b64encode(b"alertmanager:token-of-alertmanager").decode(),
    "Digest token-of-adam",
    "token-of-adam",
]


@pytest.mark.parametrize(("method", "path"), [route[:2] for route in ROUTES])
def test_no_route_opens_without_a_valid_credential(
    guarded: httpx.Client, method: str, path: str
) -> None:
    for header in WRONG:
        headers = {} if header is None else {"Authorization": header.encode("latin-1")}
        answer = send(guarded, method, path, headers)
        assert answer.status_code == 401, header
        assert "Bearer" in answer.headers["WWW-Authenticate"]


def test_the_table_above_names_every_route(tmp_path: Path) -> None:
    app = create_app(web_site.project(tmp_path), web_site.Counted())
    asked = {(method, path.replace("/7", "/{id}")) for method, path, _, _ in ROUTES}
    asked |= {("GET", "/api/v1/catalog/{id}"), ("GET", "/catalog/{id}")}
    asked |= {("POST", "/api/v1/sources/{name}")}
    untested = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/api/v1/events")}
    there = {
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }
    assert there - asked == untested


def test_health_needs_no_credential(guarded: httpx.Client) -> None:
    assert [guarded.get(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]


def test_a_browser_takes_the_name_and_the_token_of_a_person(guarded: httpx.Client) -> None:
    assert guarded.get("/", auth=("vera", "token-of-vera")).status_code == 200


def test_nobody_comes_in_until_somebody_is_configured(tmp_path: Path) -> None:
    with web_site.site(web_site.project(tmp_path, {})) as client:
        answer = client.get("/")
        assert answer.status_code == 401
        assert "listen.auth" in answer.json()["error"]


def test_a_secret_file_can_be_replaced_while_it_runs(tmp_path: Path) -> None:
    """Invariant 1: while the file is missing for a moment, the last secret stays in force."""
    secret = tmp_path / "token"
    secret.write_text("old\n")
    gate = Gate(Listen.model_validate({"auth": {"bearer_token_file": secret}}))
    assert gate.identify("Bearer old", Permission.DELIVER)
    secret.unlink()
    assert gate.identify("Bearer old", Permission.DELIVER)
    secret.write_text("new\n")
    assert gate.identify("Bearer new", Permission.DELIVER)
    assert gate.identify("Bearer old", Permission.DELIVER) is None


def test_an_empty_secret_opens_nothing(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    users = [{"name": "eve", "bearer_token_file": empty, "role": "admin"}]
    gate = Gate(Listen.model_validate({"auth": {"bearer_token_file": empty}, "users": users}))
    for header in ("Bearer ", "Bearer", "Basic " + base64.b64encode(b"eve:").decode(), ""):
        assert gate.identify(header, Permission.VIEW) is None


def test_a_missing_secret_file_stops_the_start(tmp_path: Path) -> None:
    """Invariant 13: not the first request."""
    opened = web_site.project(tmp_path, {"auth": {"bearer_token_file": str(tmp_path / "none")}})
    with pytest.raises(ConfigError, match="cannot be read"):
        create_app(opened, web_site.Counted())
    opened.close()


def test_alertmanagers_credential_holds_even_where_people_need_none(tmp_path: Path) -> None:
    listen = {"allow_anonymous": True, "auth": {"bearer_token": "token-of-alertmanager"}}
    with web_site.site(web_site.project(tmp_path, listen)) as client:
        assert client.get("/").status_code == 200
        assert client.post("/api/v1/alerts", content=web_site.body()).status_code == 401


@pytest.mark.parametrize("host", ["evil.example.com", "127.0.0.1.evil.com", "[::1", "", "runner:1"])
def test_a_name_that_was_made_to_resolve_to_us_is_refused(tmp_path: Path, host: str) -> None:
    with web_site.site(web_site.project(tmp_path)) as client:
        assert client.get("/api/v1/incidents", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:9095", "127.0.0.1", "[::1]:9095", "ops.example.com"])
def test_our_own_names_are_taken(tmp_path: Path, host: str) -> None:
    notify = {"public_url": "https://ops.example.com/"}
    with web_site.site(web_site.project(tmp_path, notify=notify)) as client:
        assert client.get("/api/v1/incidents", headers={"Host": host}).status_code == 200


OTHER_SITES = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example.com"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "javascript://127.0.0.1"},
    {"Sec-Fetch-Site": "none", "Origin": "https://evil.example.com"},
]


@pytest.mark.parametrize("headers", OTHER_SITES)
def test_a_page_of_another_site_cannot_change_anything(
    guarded: httpx.Client, headers: dict[str, str]
) -> None:
    for path in ("/api/v1/pause", "/incidents/7/cancel", "/approvals/7", "/api/v1/alerts"):
        assert guarded.post(path, headers=web_site.ADAM | headers).status_code == 403
    assert guarded.get("/", headers=web_site.ADAM | headers).status_code == 200


def test_our_own_page_can(guarded: httpx.Client) -> None:
    ours = f"{guarded.base_url.scheme}://{guarded.base_url.netloc.decode()}"
    for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": ours}):
        answer = guarded.post("/incidents/7/cancel", headers=web_site.ADAM | headers)
        assert answer.status_code == 404


def test_every_answer_carries_the_headers_that_keep_browsers_safe(guarded: httpx.Client) -> None:
    for path, headers in (
        ("/", web_site.VERA),
        ("/", {}),
        ("/healthz", {}),
        ("/none", web_site.VERA),
    ):
        answer = guarded.get(path, headers=headers)
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "server" not in answer.headers


def settings(listen: dict[str, Any]) -> Config:
    return config.build({"listen": listen}, root=Path("."))


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ({}, "Alertmanager cannot deliver"),
        ({"auth": {"bearer_token": "a"}}, "listen.users"),
        (web_site.GUARDED | {"users": [{"name": "eve"}]}, "user eve cannot log in"),
        (web_site.GUARDED | {"users": [{"name": "eve", "bearer_token": "a"}] * 2}, "twice"),
        (
            web_site.GUARDED
            | {"users": [{"name": "eve", "bearer_token": "token-of-alertmanager"}]},
            "same secret as listen.auth",
        ),
    ],
)
def test_it_says_at_the_start_what_is_wrong(listen: dict[str, Any], said: str) -> None:
    assert any(said in problem for problem in problems(settings(listen)))


@pytest.mark.parametrize("listen", [{"allow_anonymous": True}, web_site.GUARDED])
def test_it_says_nothing_when_all_is_well(listen: dict[str, Any]) -> None:
    assert problems(settings(listen)) == []
