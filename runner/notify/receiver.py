"""One message to one receiver: the console, or whatever an apprise URL stands for.

An apprise URL may hold a password, and apprise writes URLs and answers into its
own log. So nothing but HTTP statuses leaves that log, and what goes wrong is told
as RemoteError, which names the receiver and nothing else of it (invariant 13).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from runner import config
from runner.client import bundle
from runner.errors import RemoteError, RunnerError
from runner.notify.message import Message

Send = Callable[[Message], None]

_STATUS = re.compile(r"error\s*=\s*(\d{3})\b")


def console(message: Message) -> None:
    """One line on standard error."""
    try:
        click.echo(message.line, err=True)
    except (OSError, ValueError) as error:
        raise RemoteError("console: standard error cannot be written to") from error


def through_apprise(
    receiver: config.Receiver, message: Message, *, ca_file: Path | None = None
) -> None:
    """Send by the receiver's URL. Raises RemoteError; its message holds no secret.

    Services that are called over HTTPS may also have a certificate by `ca_file`.
    """
    try:
        url = receiver.resolved()
    except RunnerError:
        # The file may come back, and its name is nobody else's business.
        raise RemoteError(f"receiver {receiver.name}: its url_file cannot be read") from None
    try:
        result = _notify(url, message, html=receiver.format == "html", ca_file=ca_file)
    except Exception as error:
        # A plugin may raise anything, and its words may hold the URL.
        raise RemoteError(
            f"receiver {receiver.name}: sending failed ({type(error).__name__})"
        ) from None
    if result is None:
        raise RemoteError(
            f"receiver {receiver.name}: its url is not one that apprise can use; see its list "
            "of services"
        )
    if not result:
        # No status is taken for final: a proxy that is being deployed answers 404, and a person
        # who mends a URL or a token must not find the messages gone.
        logged = (_STATUS.search(entry.message) for entry in result.logs())
        statuses = [match[1] for match in logged if match]
        why = f"was refused with HTTP status {statuses[-1]}" if statuses else "was not taken"
        raise RemoteError(f"receiver {receiver.name}: the message {why}")


def _notify(url: str, message: Message, *, html: bool, ca_file: Path | None) -> Any:
    """apprise's result, false when it was not taken; None when it cannot use the URL."""
    log = logging.getLogger("apprise")
    log.addFilter(_ONLY_STATUS)
    log.propagate = False
    # At DEBUG, urllib3 writes the path of each request: for chats, that is the secret.
    logging.getLogger("urllib3").setLevel(logging.INFO)
    import apprise  # late, because it is large, and with its log shut

    asset = apprise.AppriseAsset(app_id="runner", app_desc="Remediation runner")
    service: Any = apprise.Apprise(asset=asset)
    if not service.add(url):
        return None
    for each in service:
        if each.verify_certificate:  # what requests is given: true, or a file of authorities
            each.verify_certificate = str(bundle(ca_file))
    return service.notify(
        title=message.subject,
        body=message.html if html else message.text,
        # Named even for text: without it some services read mentions out of the body.
        body_format=apprise.NotifyFormat.HTML if html else apprise.NotifyFormat.TEXT,
        interpret_escapes=False,
    )


class _OnlyStatus(logging.Filter):
    """Leaves of a record of apprise nothing but the HTTP status."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            found = _STATUS.search(record.getMessage())
        except (TypeError, ValueError):
            found = None
        record.msg = found[0] if found else "(not shown: it may hold the receiver's URL)"
        record.args = ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


_ONLY_STATUS = _OnlyStatus()
