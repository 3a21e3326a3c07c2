"""The one way in which the intake speaks HTTP: nowhere else than where it was told to.

Redirects are not followed, the environment's proxies are not used, answers are
bounded, and no URL is logged with a password in it.
"""

from __future__ import annotations

import functools
import ssl
import time
from datetime import timedelta

import httpx

from runner.errors import ConfigError, RemoteData, RemoteError


def open_client(timeout: timedelta, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """A client whose every wait is at most `timeout`; close it."""
    return httpx.Client(
        timeout=timeout.total_seconds(),
        follow_redirects=False,
        trust_env=False,
        verify=_system_authorities(),
        transport=transport,
    )


@functools.cache
def _system_authorities() -> ssl.SSLContext:
    return ssl.create_default_context()


def split_credentials(url: str) -> tuple[str, httpx.Auth | None]:
    """(the URL as it may be shown, the login that was written in it). Raises ConfigError."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise ConfigError(
            "A url in the configuration is not a URL; write http://host:port"
        ) from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        shown = parsed.copy_with(userinfo=b"")
        raise ConfigError(f"{shown}: is not an http or https URL; write http://host:port")
    login = httpx.BasicAuth(parsed.username, parsed.password) if parsed.userinfo else None
    return str(parsed.copy_with(userinfo=b"")), login


def read(response: httpx.Response, *, limit: int, timeout: timedelta) -> bytes:
    """The body, decompressed: at most `limit` bytes, within about `timeout`.

    Raises RemoteData for more, RemoteError for longer, httpx.HTTPError otherwise.
    """
    deadline = time.monotonic() + timeout.total_seconds()
    body = bytearray()
    for part in response.iter_bytes():
        body += part
        if len(body) > limit:
            raise RemoteData(f"{response.url.host} answers with more than {limit} bytes.")
        if time.monotonic() > deadline:
            raise RemoteError(f"{response.url.host} did not finish its answer in time.")
    return bytes(body)
