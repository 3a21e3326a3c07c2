"""Who is asking, and what they may do.

`listen.auth` is Alertmanager's credential and opens the webhook and the metrics only.
`listen.users` are people. A person with a bearer token may also log in by browser,
with their name and the token as the password.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from runner.config import Config, Credentials, Listen, Sender, User
from runner.errors import ConfigError

log = logging.getLogger(__name__)


class Permission(StrEnum):
    """What a request needs."""

    DELIVER = "deliver"  #: post alerts
    SEND = "send"  #: post alerts as one of `intake.sources`
    SCRAPE = "scrape"  #: read the runner's own metrics
    VIEW = "view"  #: read everything else
    ANSWER = "answer"  #: approve or deny
    STOP = "stop"  #: cancel, pause: what can only make the runner do less
    ACT = "act"  #: run, retry, resume


_WEBHOOK = frozenset({Permission.DELIVER, Permission.SCRAPE})
_VIEWER = frozenset({Permission.VIEW, Permission.SCRAPE})
_APPROVER = _VIEWER | {Permission.ANSWER, Permission.STOP}

ROLES: dict[str, frozenset[Permission]] = {
    "alertmanager": _WEBHOOK,
    "source": frozenset({Permission.SEND}),
    "viewer": _VIEWER,
    "approver": _APPROVER,
    "admin": frozenset(Permission),
}

#: Paths that tell nothing, for whoever watches the process.
OPEN = frozenset({"/healthz", "/readyz"})

_NEEDED: tuple[tuple[str, str, Permission], ...] = (
    ("POST", r"/api/v1/alerts", Permission.DELIVER),
    ("POST", r"/api/v1/sources/[^/]+", Permission.SEND),
    ("GET", r"/metrics", Permission.SCRAPE),
    ("POST", r"(/api/v1)?/approvals/[^/]+", Permission.ANSWER),
    ("POST", r"(/api/v1)?/incidents/[^/]+/cancel", Permission.STOP),
    ("POST", r"/api/v1/pause", Permission.STOP),
)


def needed(method: str, path: str) -> Permission:
    """What a request needs; anything that is not named above needs VIEW to read, else ACT."""
    for verb, pattern, permission in _NEEDED:
        if method == verb and re.fullmatch(pattern, path):
            return permission
    return Permission.VIEW if method in ("GET", "HEAD") else Permission.ACT


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Somebody whose credential was right."""

    #: `user:NAME` for people, `alertmanager` for the webhook's credential, `source:NAME`
    name: str
    role: str

    def may(self, permission: Permission) -> bool:
        return permission in ROLES[self.role]


ANONYMOUS = Actor(name="user:anonymous", role="admin")
ALERTMANAGER = Actor(name="alertmanager", role="alertmanager")


class Gate:
    """Compares what a request presents with every credential, always in the same time."""

    def __init__(self, listen: Listen, sources: Sequence[Sender] = ()) -> None:
        """Reads every secret once. Raises ConfigError when a named file is missing."""
        self._listen = listen
        self._known: list[tuple[Actor, Credentials]] = []
        if listen.auth.configured:
            self._known.append((ALERTMANAGER, listen.auth))
        for user in listen.users:
            self._known.append((Actor(name=f"user:{user.name}", role=user.role), user))
        for source in sources:
            self._known.append((Actor(name=f"source:{source.name}", role="source"), source.auth))
        self._last = [tuple(accepted(credentials)) for _, credentials in self._known]

    @property
    def closed(self) -> bool:
        """Whether nobody at all can come in."""
        return not self._known and not self._listen.allow_anonymous

    def identify(self, header: str | None, permission: Permission) -> Actor | None:
        """Who presents this Authorization header; None when it must be refused with 401."""
        if header is None:
            guarded = permission is Permission.DELIVER and self._listen.auth.configured
            guarded = guarded or permission is Permission.SEND
            return ANONYMOUS if self._listen.allow_anonymous and not guarded else None
        digest = hashlib.sha256(presented(header) or b"").digest()
        found: Actor | None = None
        for index, (actor, credentials) in enumerate(self._known):
            # Read at each request, so that rotation needs no restart; a file that is just being
            # replaced leaves the last one in force, because a refused alert is not sent again soon.
            try:
                self._last[index] = tuple(accepted(credentials))
            except (ConfigError, UnicodeDecodeError):
                log.warning("the secret of %s cannot be read", actor.name)
            # Every secret is compared, whoever asks, so that the time tells nothing.
            for secret in self._last[index]:
                if hmac.compare_digest(hashlib.sha256(secret).digest(), digest):
                    found = found or actor
        return found


def accepted(credentials: Credentials) -> Iterator[bytes]:
    """What `presented` gives when the credential is right. An empty secret opens nothing."""
    if token := credentials.bearer():
        yield b"bearer:" + token.encode()
        if isinstance(credentials, User):
            yield f"basic:{credentials.name}:{token}".encode()
    if (pair := credentials.basic()) and pair[1]:
        yield f"basic:{pair[0]}:{pair[1]}".encode()


def presented(header: str) -> bytes | None:
    """The credential in an Authorization header, or None when it is of no known kind."""
    scheme, _, rest = header.strip().partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return b"bearer:" + rest.strip().encode("latin-1", "replace")
    if scheme.lower() != "basic":
        return None
    try:
        return b"basic:" + base64.b64decode(rest.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None


def problems(config: Config) -> list[str]:
    """What is wrong with who may come in, a sentence each, for `serve` to say at its start.

    Raises ConfigError when a named secret file is missing.
    """
    listen = config.listen
    if listen.allow_anonymous:
        found = [] if listen.loopback else ["listen.allow_anonymous needs a loopback address"]
        return found + _logins(config)
    found = _logins(config)
    if not listen.auth.configured:
        found.append(
            "Alertmanager cannot deliver: set listen.auth.bearer_token_file, "
            "or listen.allow_anonymous on a loopback address"
        )
    elif not any(accepted(listen.auth)):
        found.append("Alertmanager cannot deliver: the secret of listen.auth is empty")
    if not listen.users:
        found.append("nobody can use the API or the dashboard: add users to listen.users")
    return found


def _logins(config: Config) -> list[str]:
    """What is wrong with the credentials of people and of other senders."""
    listen = config.listen
    found = []
    seen: dict[bytes, str] = {secret: "listen.auth" for secret in accepted(listen.auth)}
    names: set[str] = set()
    for user in listen.users:
        secrets = list(accepted(user))
        if not secrets:
            found.append(f"user {user.name} cannot log in: set bearer_token_file or password_file")
        if user.name in names:
            found.append(f"listen.users names {user.name} twice")
        if others := {seen[secret] for secret in secrets if secret in seen}:
            found.append(f"user {user.name} has the same secret as {min(others)}")
        names.add(user.name)
        seen.update(dict.fromkeys(secrets, f"user {user.name}"))
    for source in config.intake.sources:
        secrets = list(accepted(source.auth))
        if not secrets:
            found.append(f"source {source.name} cannot deliver: the secret of its auth is empty")
        if others := {seen[secret] for secret in secrets if secret in seen}:
            found.append(f"source {source.name} has the same secret as {min(others)}")
        seen.update(dict.fromkeys(secrets, f"source {source.name}"))
    return found
