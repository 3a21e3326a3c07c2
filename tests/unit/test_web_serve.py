"""Starting and stopping the server."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from runner.config import Listen
from runner.errors import ConfigError
from runner.web.app import create_app
from runner.web.serve import Server, bound
from tests import web_site


def test_a_port_that_is_taken_is_said_in_a_sentence() -> None:
    with bound("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} is taken by another program"):
            bound("127.0.0.1", port)


def test_small_answers_are_not_held_back() -> None:
    """asyncio asks for the protocol before it turns Nagle's algorithm off."""
    with bound("127.0.0.1", 0) as taken:
        assert taken.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(
    ("host", "said"), [("192.0.2.1", "not an address of this machine"), ("no host", "no address")]
)
def test_an_address_that_is_not_ours_is_said_in_a_sentence(host: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        bound(host, 0)


def test_it_answers_on_ipv6_too(tmp_path: Path) -> None:
    try:
        bound("::1", 0).close()
    except ConfigError:
        pytest.skip("this machine has no IPv6")
    opened = web_site.project(tmp_path, {"host": "::1", "allow_anonymous": True})
    with web_site.site(opened) as client:
        assert client.base_url.host == "::1"
        assert client.get("/").status_code == 200


def test_the_port_is_free_after_the_stop(tmp_path: Path) -> None:
    opened = web_site.project(tmp_path)
    server = Server(create_app(opened, web_site.Counted()), opened.config.listen)
    server.start()
    assert httpx.get(f"{server.url}/healthz").status_code == 200
    server.stop()
    assert not server.alive
    bound("127.0.0.1", server_port(server)).close()
    opened.close()


def server_port(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


def test_it_can_be_stopped_before_it_was_started(tmp_path: Path) -> None:
    opened = web_site.project(tmp_path)
    Server(create_app(opened, web_site.Counted()), Listen(port=0)).stop()
    opened.close()


def test_headers_that_are_too_long_are_refused(tmp_path: Path) -> None:
    """Invariant 14: a request has a bound before its body begins."""
    with web_site.site(web_site.project(tmp_path)) as client:
        address = ("127.0.0.1", client.base_url.port or 80)
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 100_000)
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
