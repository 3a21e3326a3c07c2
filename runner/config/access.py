"""Who may come in, and how we log in elsewhere: `listen`, and `auth` wherever it stands."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from runner.config.section import Section
from runner.errors import ConfigError
from runner.text.duration import Duration, parse


class Credentials(Section):
    """How to log in somewhere: a bearer token, or a name with a password, or nothing."""

    bearer_token: str | None = Field(default=None, repr=False)
    bearer_token_file: Path | None = None
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    password_file: Path | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Credentials:
        for name in ("bearer_token", "password"):
            if getattr(self, name) and getattr(self, f"{name}_file"):
                raise ValueError(f"give {name} or {name}_file, not both")
        if self.has_bearer and self.username:
            raise ValueError("give a bearer token or a username, not both")
        if self.username and not (self.password or self.password_file):
            raise ValueError("username needs password_file")
        return self

    @property
    def has_bearer(self) -> bool:
        return bool(self.bearer_token or self.bearer_token_file)

    @property
    def configured(self) -> bool:
        return self.has_bearer or bool(self.username)

    def bearer(self) -> str | None:
        """The token, read from its file at each call so that rotation needs no restart."""
        return self.bearer_token or secret(self.bearer_token_file)

    def basic(self) -> tuple[str, str] | None:
        """(name, password), or None."""
        if not self.username:
            return None
        return self.username, self.password or secret(self.password_file) or ""

    def headers(self) -> dict[str, str]:
        """The Authorization header for a request to the other side; empty without one."""
        import base64

        if token := self.bearer():
            return {"Authorization": f"Bearer {token}"}
        if pair := self.basic():
            return {"Authorization": "Basic " + base64.b64encode(":".join(pair).encode()).decode()}
        return {}


def secret(path: Path | None) -> str | None:
    """What a file holds, read anew; None for no file. Raises ConfigError."""
    if path is None:
        return None
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"{path}: the secret file cannot be read ({error.strerror})") from None


class User(Credentials):
    """A person who may use the API and the dashboard."""

    name: str
    role: Literal["viewer", "approver", "admin"] = "viewer"


class WebLimits(Section):
    """How much one client, and all together, may take of the web server."""

    connections: Annotated[int, Field(ge=16, le=50_000)] = 1000  #: in all
    connections_per_address: Annotated[int, Field(ge=8, le=50_000)] = 256
    headers: Duration = parse("10s")  #: for a request until its headers end
    body: Duration = parse("30s")  #: for a body to arrive
    streams: Annotated[int, Field(ge=1, le=10_000)] = 128  #: live events, in all
    streams_per_user: Annotated[int, Field(ge=1, le=10_000)] = 16

    @model_validator(mode="after")
    def _times(self) -> WebLimits:
        for name in ("headers", "body"):
            if not getattr(self, name):
                raise ValueError(f"{name} must be longer than 0s")
        return self


class Listen(Section):
    """Where the webhook, the API and the dashboard answer."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9095
    auth: Credentials = Credentials()  #: of Alertmanager, for the webhook
    users: tuple[User, ...] = ()
    allow_anonymous: bool = False  #: only on loopback
    max_body: Annotated[int, Field(gt=0)] = 16 * 1024 * 1024  #: bytes
    limits: WebLimits = WebLimits()

    @model_validator(mode="after")
    def _guarded(self) -> Listen:
        if self.allow_anonymous and not self.loopback:
            raise ValueError(
                f"allow_anonymous needs a loopback address, not {self.host}; "
                "set auth.bearer_token_file instead"
            )
        return self

    @property
    def loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
