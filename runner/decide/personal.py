"""Personal data in text becomes `[personal]` before a model reads it.

Mail addresses are found by their form, telephone numbers by their country code, card and bank
account numbers by their check digits. Addresses of machines and names of units stay: the model
needs them. Numbers of a series are no card, unless a word before them says so.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import suppress

import re2

from runner.config import Model
from runner.errors import ConfigError
from runner.text import storable

HIDDEN = "[personal]"

#: Without one of these a part of what is promised would be sent in clear.
_LIBRARIES = {"phonenumbers": "telephone numbers", "stdnum": "card and bank account numbers"}

_MAIL = re2.compile(r"[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}([A-Za-z]{2,24})")
#: What systemd's names end in: `ceph-osd@5.service` is an instance of a unit, not an address.
_UNITS = frozenset(
    "automount device mount network path scope service slice socket swap target timer".split()
)
#: A card number as people and programs write it: all digits, by dashes, or by spaces.
_CARD = re2.compile(
    r"(^|[^\w.-])("
    r"[2-6]\d{12,18}|[2-6]\d{3}(?:-\d{4}){3}|3\d{3}-\d{6}-\d{5}"
    r"|[2-6]\d{3}(?: \d{4}){3}|3\d{3} \d{6} \d{5}"
    r")($|[^\w-])"
)
_CARD_WORD = re2.compile(
    r"(?i)\b(?:card|pan|visa|mastercard|maestro|amex|discover|jcb|diners|kreditkarte|karte|carte"
    r"|carta|tarjeta)\b"
)
_NEAR = 40  #: characters beside digits that tell what they are
_VALUE = re2.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?|[-+]?Inf|NaN")
#: Values follow a name, or begin a line.
_BEGINS_SERIES = re2.compile(r"^\s*$|[:=}\])]\s*$")
_ACCOUNT = re2.compile(r"(^|\W)([A-Z]{2}\d{2}(?: ?[A-Z0-9]{1,4}){3,8})($|\W)")
_TELEPHONE = re2.compile(r"(^|[^\w.+])(\+[1-9](?:[ ().\-/]{0,2}\d){6,16})")


class Hide:
    """Takes secrets out of text, and personal data if it is told to."""

    def __init__(self, secrets: Callable[[str], str], *, personal: bool) -> None:
        self._secrets = secrets
        self._personal = personal

    def __call__(self, text: str) -> str:
        text = self._secrets(text)
        return hide_personal(text) if self._personal else text


def require_libraries(settings: Model) -> None:
    """Raise ConfigError when a question would leave this machine with something not hidden."""
    away = [each for each in (settings, settings.fallback) if each and not each.loopback]
    if not settings.mask.personal or not away:
        return
    for package, what in _LIBRARIES.items():
        if not _installed(package):
            raise ConfigError(
                f"model: {what} cannot be hidden from {away[0].provider} without the Python "
                f"package {package}, so nothing is sent; install remediation-runner[personal]"
            )


def hide_personal(text: str) -> str:
    """`text` without mail addresses, telephone, card and bank account numbers.

    Numbers stay where the extra `personal` is not installed, which only a model of this machine
    is asked without.
    """
    text = _MAIL.sub(
        lambda match: match[0] if match[1].lower() in _UNITS else HIDDEN, storable(text)
    )
    if _installed("stdnum"):
        from stdnum import iban

        text = _replaced(_CARD, text, _is_card)
        text = _replaced(
            _ACCOUNT, text, lambda text, start, end: bool(iban.is_valid(text[start:end]))
        )
    if "+" in text and _installed("phonenumbers"):
        text = _TELEPHONE.sub(_if_telephone, text)
    return text


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _replaced(pattern: re2._Regexp, text: str, wanted: Callable[[str, int, int], bool]) -> str:
    """`text` with the second group hidden wherever `wanted` says so of its place."""
    parts, done = [], 0
    for match in pattern.finditer(text):
        start, end = match.span(2)
        if start >= done and wanted(text, start, end):
            parts += [text[done:start], HIDDEN]
            done = end
    return "".join([*parts, text[done:]])


def _is_card(text: str, start: int, end: int) -> bool:
    from stdnum import luhn

    found = text[start:end]
    if not luhn.is_valid(found.replace(" ", "").replace("-", "")):
        return False
    before = text[max(0, start - _NEAR) : start].rpartition("\n")[2]
    after = text[end : end + _NEAR].partition("\n")[0]
    if _CARD_WORD.search(before):
        return True
    beside = [
        *(before.split()[-1:] if before[-1:].isspace() else []),
        *(after.split()[:1] if after[:1].isspace() else []),
    ]
    # Values of a series, as this program and Prometheus write them.
    if any(word == "-" or _VALUE.fullmatch(word) for word in beside):
        return False
    return not (" " in found and _BEGINS_SERIES.search(before))


def _if_telephone(match: re2._Match) -> str:
    """Only numbers with a country code: others look like any other number of a log."""
    import phonenumbers

    whole = match[2]
    end = len(whole)
    while end > 0:
        with suppress(phonenumbers.NumberParseException):
            if phonenumbers.is_valid_number(phonenumbers.parse(whole[:end], None)):
                return f"{match[1]}{HIDDEN}{whole[end:]}"
        end = whole.rfind(" ", 0, end)  # what follows behind a space may be another number
    return str(match[0])
