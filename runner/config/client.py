"""How other servers are called over HTTP: whom to trust, by which way, with which headers."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from runner.config.access import secret
from runner.config.section import Section, Text

#: The word for no proxy where `http.proxy` names one for everybody.
DIRECT = "direct"
#: Headers whose value is a secret, which does not belong into runner.yml.
SECRET_HEADER = re.compile(r"(?i)authori[sz]ation|cookie|token|secret|passw|credential|key$")
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


def _header(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise ValueError(f"{name!r} is not the name of a header")
    if name.lower() in _OURS:
        raise ValueError(f"the header {name} is set by HTTP itself")
    return name


def _value(text: str) -> str:
    if not re.fullmatch(r"[\t\x20-\x7e]*", text):
        raise ValueError("the value of a header is one line of plain ASCII")
    return text


HeaderName = Annotated[str, AfterValidator(_header)]


class Client(Section):
    """How a server is called over HTTP."""

    ca_file: Path | None = None  #: PEM; trusted beside the authorities of the system
    cert_file: Path | None = None  #: PEM; the certificate to show, with its chain
    key_file: Path | None = None  #: its key; None: it stands in cert_file, too
    proxy: str | None = None  #: URL, or `direct`
    headers: dict[HeaderName, Annotated[Text, AfterValidator(_value)]] = Field(default_factory=dict)
    header_files: dict[HeaderName, Path] = Field(default_factory=dict)  #: read at each request

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Client:
        if self.key_file and not self.cert_file:
            raise ValueError("key_file needs cert_file")
        both = {n.lower() for n in self.headers} & {n.lower() for n in self.header_files}
        if both:
            raise ValueError(f"give the header {min(both)} in headers or header_files, not both")
        if self.proxy is not None and self.proxy != DIRECT:
            parts = urlsplit(self.proxy)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("proxy must be http://HOST:PORT, or direct")
        return self

    @property
    def way(self) -> str | None:
        """URL of the proxy to use; None for none."""
        return None if self.proxy == DIRECT else self.proxy

    def sent(self) -> dict[str, str]:
        """The headers to send now. Raises ConfigError when a file cannot be read."""
        return self.headers | {n: secret(path) or "" for n, path in self.header_files.items()}

    def shared(self, common: Client, *, headers: bool) -> dict[str, Any]:
        """The fields that `common` gives where this says nothing; its headers only if told so."""
        given: dict[str, Any] = {}
        for name in ("ca_file", "proxy"):
            if getattr(self, name) is None:
                given[name] = getattr(common, name)
        if self.cert_file is None:
            given |= {"cert_file": common.cert_file, "key_file": common.key_file}
        if headers:
            own = {name.lower() for name in (*self.headers, *self.header_files)}
            given["headers"] = _without(common.headers, own) | self.headers
            given["header_files"] = _without(common.header_files, own) | self.header_files
        return given


def _without(found: Mapping[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name.lower() not in names}


def bundle_of_environment() -> Path | None:
    """Authorities that whoever started us trusts, as requests and curl are told of them."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if found := os.environ.get(name):
            return Path(found)
    return None


def proxy_of_environment() -> str | None:
    """Name of a variable that names a proxy, which is not used."""
    names = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    return next((name for name in names if os.environ.get(name)), None)
