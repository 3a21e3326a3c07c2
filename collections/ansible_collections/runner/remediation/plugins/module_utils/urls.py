"""Asking a service on this host by HTTP: no proxy, no cookies, a bounded answer.

Runs on the hosts: Python's own library only, from 3.8 on.
"""

from __future__ import annotations

import base64
import threading
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit


def fetch(url: str, timeout: int, most: int = 0) -> tuple[int, str]:
    """(status, the first `most` bytes as text); (0, "") without a whole answer in `timeout` s."""
    answers: list[tuple[int, str]] = []
    asking = threading.Thread(
        target=lambda: answers.append(_answer(url, timeout, most)), daemon=True
    )
    asking.start()
    asking.join(timeout)  # a socket's own timeout begins anew with every byte
    return answers[0] if answers else (0, "")


def _answer(url: str, timeout: int, most: int) -> tuple[int, str]:
    import http.client
    import urllib.error
    import urllib.request

    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    try:
        with opener.open(_request(url), timeout=timeout) as answer:
            return int(answer.status), answer.read(most).decode(errors="replace") if most else ""
    except urllib.error.HTTPError as error:
        return error.code, ""
    except (OSError, ValueError, http.client.HTTPException):
        return 0, ""


def _request(url: str) -> Any:
    """What is asked; a user's name and password in the URL become a header."""
    import urllib.request

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(url)
    place = parts.netloc.rpartition("@")[2]
    headers = {"User-Agent": "runner.remediation"}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return urllib.request.Request(urlunsplit(parts._replace(netloc=place)), headers=headers)
