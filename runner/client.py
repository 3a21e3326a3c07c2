"""The one way in which the runner calls other servers: nowhere else than where it was told to.

Every client trusts the same authorities: those of the system (or of SSL_CERT_FILE and
SSL_CERT_DIR), of REQUESTS_CA_BUNDLE, and of `ca_file`. Redirects are not followed but named, the
environment's proxies are not used, answers are bounded, and no URL is logged with a password.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import ssl
import tempfile
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import certifi
import httpx

from runner import private
from runner.config.client import Client, bundle_of_environment
from runner.errors import ConfigError, RemoteData, RemoteError
from runner.text import brief

_PLAIN = Client()


def open_client(
    timeout: timedelta,
    transport: httpx.BaseTransport | None = None,
    settings: Client = _PLAIN,
) -> httpx.Client:
    """A client whose every wait is at most `timeout`; close it. Raises ConfigError.

    Headers of `settings` are not in it: `sent` gives them for each request.
    """
    return httpx.Client(
        timeout=timeout.total_seconds(),
        follow_redirects=False,
        trust_env=False,
        verify=trust(settings),
        proxy=settings.way if transport is None else None,
        transport=transport,
    )


def trust(settings: Client) -> ssl.SSLContext:
    """Whom to believe, and what to show. Raises ConfigError for files that cannot be used."""
    files = (settings.ca_file, bundle_of_environment(), settings.cert_file, settings.key_file)
    stamps = []  # a file that was replaced is read again
    for path in filter(None, files):
        with suppress(OSError):
            found = path.stat()
            stamps.append((path, found.st_ino, found.st_mtime_ns))
    return _context(*files, stamps=tuple(stamps))


@functools.lru_cache(maxsize=32)
def _context(
    ca_file: Path | None,
    bundle: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
    *,
    stamps: object,
) -> ssl.SSLContext:
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    if paths.cafile is None and paths.capath is None:  # a small container has none of its own
        context.load_verify_locations(certifi.where())
    for path in filter(None, (ca_file, bundle)):
        try:
            if path.is_dir():
                context.load_verify_locations(capath=path)
            else:
                context.load_verify_locations(cafile=path)
        except OSError as error:
            raise _unusable(path, "certificates of authorities", error) from None
    if cert_file is not None:
        try:
            # A password would be asked for on the terminal.
            context.load_cert_chain(cert_file, key_file, password=lambda: "")
        except OSError as error:
            raise _unusable(key_file or cert_file, "a certificate and its key", error) from None
    return context


def _unusable(path: Path, what: str, error: OSError) -> ConfigError:
    if isinstance(error, ssl.SSLError):  # a subclass of OSError whose strerror says little
        return ConfigError(f"{path}: does not hold {what} as PEM, without a password")
    return ConfigError(f"{path}: cannot be read ({error.strerror})")


def bundle(ca_file: Path | None) -> Path:
    """A file with all that is trusted, for libraries that take nothing else."""
    paths = ssl.get_default_verify_paths()
    system = Path(paths.cafile or paths.capath or certifi.where())
    return _bundle(*dict.fromkeys(filter(None, (system, bundle_of_environment(), ca_file))))


@functools.lru_cache(maxsize=4)
def _bundle(*places: Path) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="runner-ca-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # The files of authorities: one, or those of a folder as OpenSSL names them there.
    files = (
        file
        for place in places
        for file in (sorted(place.glob("[0-9a-f]*.[0-9]")) if place.is_dir() else [place])
    )
    try:
        whole = b"\n".join(file.read_bytes() for file in files)
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read ({error.strerror})") from None
    private.write_whole(folder / "authorities.pem", whole)
    return folder / "authorities.pem"


def problem(error: BaseException) -> str:
    """What is wrong with the other side's certificate, if that is what the error is about."""
    cause: BaseException | None = error
    for _ in range(8):
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = brief(cause.verify_message or "it cannot be verified", 120)
            return f"its certificate is not trusted ({why}); see ca_file"
        if cause is None:
            break
        reason = getattr(cause, "reason", None)  # where urllib3 keeps the cause
        args = [each for each in cause.args if isinstance(each, BaseException)]
        below = [reason] if isinstance(reason, BaseException) else args
        cause = cause.__cause__ or cause.__context__ or (below[0] if below else None)
    return ""


def redirect(status: int, location: str | None) -> str:
    """What a redirect leads to, which is not followed; empty for every other answer."""
    if not 300 <= status < 400 or not location:
        return ""
    try:
        where = str(httpx.URL(location).copy_with(userinfo=b"", query=None, fragment=None))
    except (httpx.InvalidURL, UnicodeError, TypeError):
        where = location
    return f"it redirects to {brief(where, 160)}, and redirects are not followed"


def first_words(body: bytes) -> str:
    """The beginning of an answer, as one short harmless line."""
    return brief(body[:1000].decode(errors="replace"), 160)


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
