"""Every client trusts, identifies itself and finds its way by one configuration."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runner import client, config, verify
from runner.decide import provider
from runner.errors import ConfigError, RemoteError
from runner.evidence.prometheus import PrometheusClient
from runner.intake import watching
from runner.intake.peer import Peer
from runner.intake.watching import look
from runner.notify.message import Message
from runner.notify.receiver import through_apprise
from tests.tls_server import Papers, Server, issue, serving

# apprise's mail module imports pgpy, or stands in for it, with a module that Python 3.13 drops.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

Ask = Callable[[config.Config, str], str]


def loaded(folder: Path, content: dict[str, Any]) -> config.Config:
    return config.build(content, root=folder)


def prometheus(settings: config.Config, url: str) -> str:
    assert settings.prometheus is not None
    opened = PrometheusClient(settings.prometheus)
    try:
        return f"value {opened.query('up')[0].value:g}"
    except RemoteError as error:
        return str(error)
    finally:
        opened.close()


def alertmanager(settings: config.Config, url: str) -> str:
    peer = Peer(settings.alertmanagers[0])
    try:
        return f"{len(peer.alerts([]))} alerts"
    except RemoteError as error:
        return str(error)
    finally:
        peer.close()


def check(settings: config.Config, url: str) -> str:
    try:
        return f"status {verify.http_status(f'{url}/health', settings=settings.checks)}"
    except RemoteError as error:
        return str(error)


def watch(settings: config.Config, url: str) -> str:
    try:
        found = look(settings.watches[0], None)()
    except RemoteError as error:
        return str(error)
    return found[0].seen if found else "healthy"


def model(settings: config.Config, url: str) -> str:
    assert settings.model is not None
    reply = provider.request(settings.model, [("human", "hi")], None, timeout=20, max_tokens=100)
    return reply.text or reply.detail


def receiver(settings: config.Config, url: str) -> str:
    to = config.Receiver(name="ops", url=url.replace("http", "json", 1) + "/notify")
    message = Message(subject="s", text="t", html="h", line="l")
    try:
        through_apprise(to, message, ca_file=settings.http.ca_file)
    except RemoteError as error:
        return str(error)
    return "taken"


#: Client → how it asks, and what it says when all is well.
CLIENTS: dict[str, tuple[Ask, str]] = {
    "prometheus": (prometheus, "value 1"),
    "alertmanager": (alertmanager, "0 alerts"),
    "check": (check, "status 200"),
    "watch": (watch, "healthy"),
    "model": (model, "hello"),
    "receiver": (receiver, "taken"),
}
every = pytest.mark.parametrize("name", CLIENTS)
servers = pytest.mark.parametrize("name", ["prometheus", "alertmanager", "watch", "model"])


def asked(name: str, folder: Path, server: Server, url: str = "", **http: Any) -> str:
    """What one client says when all of them are configured by `http`."""
    url = url or server.url
    settings = loaded(
        folder,
        {
            "http": http,
            "prometheus": {"url": url},
            "alertmanagers": [{"url": url}],
            "watches": [{"name": "Down", "http": f"{url}/health"}],
            "model": {"name": "m", "base_url": f"{url}/v1", "api_key": "none"},
        },
    )
    return CLIENTS[name][0](settings, url)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return issue(tmp_path_factory.mktemp("papers"))


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    client._context.cache_clear()
    yield
    client._context.cache_clear()


@every
def test_a_private_authority_is_trusted_by_ca_file_and_by_nothing_else(
    name: str, papers: Papers, tmp_path: Path
) -> None:
    with serving(papers) as server:
        said = asked(name, tmp_path, server)
        assert said != CLIENTS[name][1]
        assert "not trusted" in said or name == "receiver", said
        assert server.headers == []
        assert asked(name, tmp_path, server, ca_file=str(papers.ca)) == CLIENTS[name][1]


@every
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_the_environment_is_believed_by_every_client_alike(
    name: str, variable: str, papers: Papers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(papers.ca))
    with serving(papers) as server:
        assert asked(name, tmp_path, server) == CLIENTS[name][1]


@pytest.mark.parametrize("name", [name for name in CLIENTS if name != "receiver"])
def test_a_certificate_is_shown_to_who_asks_for_one(
    name: str, papers: Papers, tmp_path: Path
) -> None:
    with serving(papers, known_only=True) as server:
        mine = {"cert_file": str(papers.client), "key_file": str(papers.client_key)}
        assert asked(name, tmp_path, server, ca_file=str(papers.ca), **mine) == CLIENTS[name][1]
        served = len(server.headers)
        try:
            said = asked(name, tmp_path, server, ca_file=str(papers.ca))
        except Exception as error:  # verify leaves what is no answer to its caller
            said = str(error)
        assert said != CLIENTS[name][1]
        assert len(server.headers) == served


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_common_headers_go_to_prometheus_and_alertmanager(name: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hidden\n")
    common = {"headers": {"X-Scope-OrgID": "team-a"}, "header_files": {"X-Api-Key": "key"}}
    with serving(None) as server:
        assert asked(name, tmp_path, server, **common) == CLIENTS[name][1]
        assert server.headers[0]["x-scope-orgid"] == "team-a"
        assert server.headers[0]["x-api-key"] == "hidden"


@pytest.mark.parametrize("name", ["check", "watch", "model"])
def test_common_headers_go_to_nobody_else(name: str, tmp_path: Path) -> None:
    """Invariant 13: a token for Prometheus is not for a host that an alert names."""
    with serving(None) as server:
        said = asked(name, tmp_path, server, headers={"X-Scope-OrgID": "team-a"})
        assert said == CLIENTS[name][1]
        assert "x-scope-orgid" not in server.headers[0]


@servers
def test_a_server_has_its_own_headers_and_they_win(name: str, tmp_path: Path) -> None:
    own = {"headers": {"x-scope-orgid": "own"}}
    with serving(None) as server:
        content: dict[str, Any] = {
            "http": {"headers": {"X-Scope-OrgID": "common"}},
            "prometheus": {"url": server.url, **own},
            "alertmanagers": [{"url": server.url, **own}],
            "watches": [{"name": "Down", "http": f"{server.url}/health", **own}],
            "model": {"name": "m", "base_url": f"{server.url}/v1", "api_key": "x", **own},
        }
        assert CLIENTS[name][0](loaded(tmp_path, content), server.url) == CLIENTS[name][1]
        assert server.headers[0]["x-scope-orgid"] == "own"


@pytest.mark.parametrize("name", ["prometheus", "alertmanager", "model"])
def test_a_refusal_is_told_in_the_server_s_own_words(name: str, tmp_path: Path) -> None:
    with serving(None) as server:
        server.status, server.body = 401, b"no org id\n"
        said = asked(name, tmp_path, server)
        assert "401" in said and "no org id" in said


def test_a_page_for_people_is_told_by_its_first_words(tmp_path: Path) -> None:
    with serving(None) as server:
        server.body = b"<html><title>Sign in</title>"
        assert "<title>Sign in" in asked("prometheus", tmp_path, server)


@pytest.mark.parametrize("name", [name for name in CLIENTS if name != "receiver"])
def test_a_redirect_is_named_and_not_followed(name: str, tmp_path: Path) -> None:
    with serving(None) as server, serving(None) as elsewhere:
        server.status, server.body = 302, b""
        server.location = elsewhere.url.replace("://", "://me:word@") + "/health?token=1"
        said = asked(name, tmp_path, server)
        assert "redirect" in said or said == "status 302"
        assert "word" not in said and "token" not in said
        assert elsewhere.headers == []


@pytest.mark.parametrize("name", [name for name in CLIENTS if name != "receiver"])
def test_a_proxy_is_used_when_it_is_configured_and_only_then(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(None) as proxy, serving(None) as server:
        far = "http://far.example.com"
        assert asked(name, tmp_path, server, far, proxy=proxy.url) == CLIENTS[name][1]
        assert proxy.proxied[0].startswith(far)
        before = len(proxy.proxied)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        assert asked(name, tmp_path, server) == CLIENTS[name][1]
        assert len(proxy.proxied) == before


def test_direct_is_a_way_around_the_common_proxy(tmp_path: Path) -> None:
    content = {
        "http": {"proxy": "http://192.0.2.1:3128"},
        "prometheus": {"url": "http://127.0.0.1", "proxy": "direct"},
        "alertmanagers": [{"url": "http://127.0.0.1"}],
    }
    settings = loaded(tmp_path, content)
    assert settings.prometheus is not None and settings.prometheus.way is None
    assert settings.alertmanagers[0].way == "http://192.0.2.1:3128"


@pytest.mark.parametrize(
    ("http", "sentence"),
    [
        ({"headers": {"Authorization": "x"}}, "headers.Authorization is rejected here"),
        ({"headers": {"X-Api-Key": "x"}}, "headers.X-Api-Key is rejected here"),
        ({"headers": {"a b": "x"}}, "not the name of a header"),
        ({"headers": {"Host": "x"}}, "is set by HTTP itself"),
        ({"headers": {"X-A": "x\r\ny"}}, "one line"),
        ({"headers": {"X-A": "x"}, "header_files": {"x-a": "f"}}, "not both"),
        ({"key_file": "k"}, "key_file needs cert_file"),
        ({"proxy": "proxy:3128"}, "proxy must be"),
        ({"proxy": "http://me:word@proxy:3128"}, "holds a password"),
    ],
)
def test_what_cannot_be_sent_is_refused_when_it_is_read(
    http: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "runner.yml"
    path.write_text(json.dumps({"http": http}))
    with pytest.raises(ConfigError, match=sentence) as caught:
        config.load(path)
    assert "word@" not in str(caught.value)


def test_an_expired_certificate_is_the_target_s_trouble_and_an_unknown_authority_is_ours() -> None:
    for code, ours in ((10, False), (62, False), (20, True), (18, True)):
        error = ssl.SSLCertVerificationError(1, "certificate verify failed")
        error.verify_code = code
        assert watching._is_ours(error) is ours


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_files_of_tls_that_cannot_be_used_are_a_sentence(
    content: str | None, tmp_path: Path, papers: Papers
) -> None:
    bad = tmp_path / "bad.pem"
    if content is not None:
        bad.write_text(content)
    for settings in (config.Client(ca_file=bad), config.Client(cert_file=bad, key_file=bad)):
        with pytest.raises(ConfigError, match=r"bad\.pem: (cannot be read|does not hold)"):
            client.trust(settings)


@pytest.mark.parametrize("provided", ["anthropic", "google", "mistral", "nvidia"])
def test_a_package_that_calls_by_itself_is_not_told_what_it_would_ignore(provided: str) -> None:
    endpoint = config.Endpoint(
        provider=provided,
        name="m",
        api_key="k",
        headers={"X-A": "b"},  # type: ignore[arg-type]
    )
    with pytest.raises(ConfigError, match=f"headers is not for {provided}"):
        provider.build(endpoint, timeout=1, max_tokens=100)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_only_a_redirect_with_a_place_is_one(status: int) -> None:
    said = partial(client.redirect, status)
    assert said(None) == ""
    assert said("http://[") and said("/login").startswith("it redirects to /login")
    assert client.redirect(200, "/x") == ""
