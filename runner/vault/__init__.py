"""What Ansible Vault encrypts in this project: which variables and values are secret.

Ansible decrypts a vaulted file before it answers, so a listing of the inventory no longer
tells which of its values were encrypted. The files themselves do: whatever lies in one of
them, or stands behind `!vault`, is secret by value from eight characters on, and by its key
below that.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import re2

from runner import child
from runner.errors import InventoryError

MASKED = "[masked]"
#: Characters from which on a value is secret wherever it occurs; shorter ones only with their key.
BY_VALUE = 8
TIMEOUT = timedelta(seconds=60)
#: Seconds for which files that did not change are not looked at again.
_FRESH = 1.0
_AGAIN = 30.0  #: the same after it could not be found out
_MAX_FILE = 4 * 1024 * 1024  #: bytes; no file of variables is larger
_HEADER = b"$ANSIBLE_VAULT;"
#: An encrypted text, with the key that it is the value of where it is one.
_INLINE = re.compile(
    rb"(?:([A-Za-z_][\w-]*)[\"']?[ \t]*:[ \t]*!vault[^\n]*\n[ \t]*)?"
    rb"(\$ANSIBLE_VAULT;[^\s\"'\\]+(?:\s+(?:[0-9a-f]{2})+(?![^\s\"'\\]))+)"
)
_SKIPPED = frozenset({".git", ".venv", "__pycache__", "node_modules"})
#: What the runner itself must know, though an encrypted file may say it.
_KEPT = re.compile(r"runner_\w+|ansible_host")


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What came out of encrypted files and values."""

    names: frozenset[str] = frozenset()  #: variables that they set
    values: frozenset[str] = field(default=frozenset(), repr=False)
    pairs: frozenset[tuple[str, str]] = field(default=frozenset(), repr=False)  #: key, short value
    locked: tuple[str, ...] = ()  #: files that no password opens
    failed: tuple[str, ...] = ()  #: why there is no password, a clause for each file that has none

    def withholds(self, variable: str) -> bool:
        """Whether no value of this inventory variable may be seen."""
        return variable in self.names and not _KEPT.fullmatch(variable)


@dataclass(frozen=True, kw_only=True)
class Known:
    """Secrets as they are at one moment. Calling it masks."""

    secrets: Secrets = Secrets()
    public: frozenset[str] = frozenset()  #: no secret although an encrypted file says it
    readable: bool = True  #: whether it could be found out at all

    @cached_property
    def _cover(self) -> Callable[[str], str]:
        return covering(self.secrets, self.public)

    def __call__(self, text: str) -> str:
        """`text` without what is secret; nothing of it when that could not be found out."""
        if not self.readable:
            return f"{MASKED}: what Ansible Vault encrypts cannot be read"
        return self._cover(text)

    def hides(self, key: str, value: object) -> bool:
        """Whether a value that stands below this key in data is secret: a short one, a number."""
        if isinstance(value, bool | dict | list) or value is None:
            return False
        text = str(value)
        return (key, text) in self.secrets.pairs or text in self.secrets.values

    def knowing(self, secrets: Mapping[str, str]) -> Known:
        """The same with further secrets, by the variables that hold them."""
        lines = {line for value in secrets.values() for line in (value, *value.splitlines())}
        more = Secrets(
            names=self.secrets.names.union(secrets),
            values=self.secrets.values.union(v for v in lines if len(v) >= BY_VALUE),
            pairs=self.secrets.pairs.union(secrets.items()),
            locked=self.secrets.locked,
        )
        return Known(secrets=more, public=self.public, readable=self.readable)

    def described(self) -> dict[str, Any]:
        """All that `of` needs to make the same in another process. It holds the secrets."""
        return {
            "values": sorted(self.secrets.values),
            "pairs": sorted(self.secrets.pairs),
            "public": sorted(self.public),
            "readable": self.readable,
        }

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Known:
        """What `described` tells of."""
        pairs = frozenset((key, value) for key, value in described["pairs"])
        return cls(
            secrets=Secrets(values=frozenset(described["values"]), pairs=pairs),
            public=frozenset(described["public"]),
            readable=described["readable"],
        )


UNREADABLE = Known(readable=False)


class Vault:
    """The encrypted files of a project, opened again whenever one of them changed.

    Calling it masks: it is what `Mask` knows beside its patterns. `public` are texts that are
    no secret although an encrypted file says them, such as names of hosts. `passwords` are the
    files that Ansible takes passwords from; what those in `logins` hold or print is a secret, too.
    """

    def __init__(
        self,
        inventory: Sequence[Path],
        others: Sequence[Path],
        environment: Mapping[str, str],
        passwords: Sequence[Path] = (),
        logins: Sequence[Path] = (),
    ) -> None:
        self._inventory, self._others = tuple(inventory), tuple(others)
        self._environment, self._passwords = dict(environment), tuple(passwords)
        self._logins = tuple(logins)
        self._lock = threading.Lock()
        self._looked = -_FRESH
        self._seen: object = None
        self._secrets = Secrets()
        self._failed: InventoryError | None = None
        self._known = Known()
        self._public: frozenset[str] = frozenset()
        self._listed: tuple[tuple[str, str], ...] = ()

    def secrets(self) -> Secrets:
        """What is secret now. Raises InventoryError when that cannot be found out."""
        with self._lock:
            self._refresh()
            if self._failed is not None:
                raise self._failed
            return self._secrets

    def told(self, public: Iterable[str], listed: Iterable[tuple[str, str]]) -> None:
        """Learn from a listing of the inventory: names of hosts, and values still encrypted."""
        with self._lock:
            known = frozenset(public), tuple(sorted(set(listed)))
            if known != (self._public, self._listed):
                self._public, self._listed = known
                self._seen, self._looked = None, -_FRESH

    def __call__(self, text: str) -> str:
        """`text` without what is secret; nothing of it when that cannot be found out."""
        return self.known()(text)

    def hides(self, key: str, value: object) -> bool:
        """Whether a value that stands below this key in data is secret: a short one, a number."""
        return self._known.hides(key, value)

    def known(self) -> Known:
        """What is secret now, as it can be handed to another process."""
        with self._lock:
            self._refresh()
            return UNREADABLE if self._failed is not None else self._known

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked < _FRESH:
            return
        self._looked = now
        variables = dict(encrypted(self._inventory))
        others = dict(encrypted(self._others))
        seen = (variables, others, [_stamp(path) for path in self._passwords])
        if seen == self._seen:
            return
        try:
            self._secrets = self._opened(variables.keys(), others.keys() - variables.keys())
        except InventoryError as error:
            self._failed, self._seen = error, None
            self._looked = now + _AGAIN
            return
        self._failed, self._seen = None, seen
        self._known = Known(secrets=self._secrets, public=self._public)

    def _opened(self, variables: Iterable[Path], others: Iterable[Path]) -> Secrets:
        """What the program beside this module, which has Ansible, says of the files."""
        asked = {
            "inventory": sorted(map(str, variables)),
            "others": sorted(map(str, others)),
            "listed": list(self._listed),
            "logins": list(map(str, self._logins)),
        }
        if not any(asked.values()):
            return Secrets()
        try:
            done = child.answer(
                [sys.executable, "-I", str(Path(__file__).with_name("program.py"))],
                self._environment,
                json.dumps(asked).encode(),
                seconds=TIMEOUT.total_seconds(),
            )
            done.check_returncode()
            said = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            text = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
            why = text.splitlines()[-1][:300] if text else type(error).__name__
            raise InventoryError(
                f"what Ansible Vault encrypts cannot be read ({why}); "
                "see execution.vault_password_file"
            ) from None
        return Secrets(
            names=frozenset(said["names"]),
            values=frozenset(said["values"]),
            pairs=frozenset((pair[0], pair[1]) for pair in said["pairs"]),
            locked=tuple(said["locked"]),
            failed=tuple(said["failed"]),
        )


_looked_into: dict[tuple[Path, tuple[int, int, int]], bool] = {}


def encrypted(tops: Iterable[Path]) -> Iterator[tuple[Path, tuple[int, int, int]]]:
    """(file, its stamp) of every file at or below `tops` that holds something encrypted.

    What was found in a file is remembered by its stamp.
    """
    files = set()
    for top in tops:
        if top.is_file():
            files.add(top)
        for at, folders, names in os.walk(top):
            folders[:] = [name for name in folders if name not in _SKIPPED]
            files |= {Path(at) / name for name in names}
    for path in sorted(files):
        stamp = _stamp(path)
        if not 0 < stamp[2] <= _MAX_FILE:
            continue
        if (path, stamp) not in _looked_into:
            if len(_looked_into) > 20_000:
                _looked_into.clear()
            try:
                _looked_into[path, stamp] = path.is_file() and _HEADER in path.read_bytes()
            except OSError:
                continue  # Ansible, as the same user, cannot read it either
        if _looked_into[path, stamp]:
            yield path, stamp


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0, -1
    return found.st_ino, found.st_ctime_ns, found.st_size


def inline(content: bytes) -> Iterator[tuple[str, bytes]]:
    """(key or nothing, encrypted text) of each encrypted value in a file."""
    for match in _INLINE.finditer(content):
        yield (match[1] or b"").decode(), b"\n".join(match[2].split())


def covering(secrets: Secrets, public: frozenset[str] = frozenset()) -> Callable[[str], str]:
    """A function that masks these secrets in a text, in linear time."""
    shapes = set()
    for value in secrets.values - public:
        # As it may stand in text: itself, inside JSON, a URL, or base64.
        shapes |= {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
        shapes |= {quote(value, safe=""), quote_plus(value)}
        shapes.add(base64.b64encode(value.encode(errors="replace")).decode())
    covers: list[tuple[re2._Regexp, str]] = []
    if shapes:
        covers.append((_compiled(_any_of(shapes)), MASKED))
    if secrets.pairs:
        keys = _any_of({key for key, _ in secrets.pairs})
        short = _any_of({value for _, value in secrets.pairs})
        assigned = rf"(\b(?:{keys})\\*[\"']?\s{{0,4}}[:=]\s{{0,4}}\\*[\"']?)(?:{short})(\W|$)"
        covers.append((_compiled(assigned), rf"\1{MASKED}\2"))

    def cover(text: str) -> str:
        for pattern, by in covers:
            text = pattern.sub(by, text)
        return text

    return cover


def _any_of(values: Iterable[str]) -> str:
    return "|".join(map(re2.escape, sorted(values, key=lambda value: (-len(value), value))))


def _compiled(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.max_mem = 256 * 1024 * 1024
    return re2.compile(pattern, options)
