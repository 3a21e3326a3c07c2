"""Personal data in text becomes `[personal]` before a model reads it.

Telephone numbers are found by `phonenumbers`, card and bank account numbers are told from other
numbers by the check digits that `python-stdnum` knows. Addresses of machines stay: the model
needs them.
"""

from __future__ import annotations

from collections.abc import Callable

import regex

HIDDEN = "[personal]"
_SECONDS = 1.0
_MAIL = regex.compile(r"[\w.+%-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}")
_CARD = regex.compile(r"(?<![\w.])\d(?:[ -]?\d){12,18}(?![\w.])")
_ACCOUNT = regex.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{1,4}){3,8}(?!\w)")


class Hide:
    """Takes secrets out of text, and personal data if it is told to."""

    def __init__(self, secrets: Callable[[str], str], *, personal: bool) -> None:
        self._secrets = secrets
        self._personal = personal

    def __call__(self, text: str) -> str:
        text = self._secrets(text)
        return hide_personal(text) if self._personal else text


def hide_personal(text: str) -> str:
    """`text` without mail addresses, telephone, card and bank account numbers."""
    try:
        text = _MAIL.sub(HIDDEN, text, timeout=_SECONDS)
        text = _CARD.sub(_if_card, text, timeout=_SECONDS)
        text = _ACCOUNT.sub(_if_account, text, timeout=_SECONDS)
    except TimeoutError:
        return f"{HIDDEN}: the text takes too long to search for personal data"
    return _without_telephones(text) if "+" in text else text


def _if_card(match: regex.Match[str]) -> str:
    from stdnum import luhn

    digits = regex.sub(r"\D", "", match[0])
    # Ids and times are long numbers, too: a card begins with 2 to 6 and has its check digit.
    return HIDDEN if digits[0] in "23456" and luhn.is_valid(digits) else str(match[0])


def _if_account(match: regex.Match[str]) -> str:
    from stdnum import iban

    return HIDDEN if iban.is_valid(match[0]) else str(match[0])


def _without_telephones(text: str) -> str:
    """Only numbers with a country code: others look like any other number of a log."""
    import phonenumbers

    for match in reversed(list(phonenumbers.PhoneNumberMatcher(text, None, max_tries=200))):
        text = text[: match.start] + HIDDEN + text[match.end :]
    return text
