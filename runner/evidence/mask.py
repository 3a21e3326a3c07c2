"""Secrets in text become `[masked]` before anybody reads it (invariant 13).

The patterns are our own short list. detect-secrets was looked at: it scans files
under process-wide settings, with an engine that backtracks, and most of the text here
was written by whoever can write to a log. RE2 takes time linear in the text, whatever
stands in it. Where a name says that a secret follows, too much is masked rather than too
little; a token without a name must stand alone, so that no metric or unit loses a part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import re2

from runner.text import pattern as compiled
from runner.text import storable
from runner.vault import Known, Vault

MASKED = "[masked]"
MAX_TEXT = 64 * 1024  #: characters; the rest is cut off before anything is matched

_NAMES = (
    r"passw(?:or)?d|passphrase|passcode|pwd|secret|token|credential"
    r"|(?:private|api|access|account|auth|encryption|signing|shared|session)[_.-]?(?:access[_.-]?)?key"
    r"|session[_.-]?id"
)
#: What follows a name: a quoted value, also inside a quoted document, or one word.
_VALUE = (
    r"(?:"
    r"\\{2,}[\"'][^\n]*"  # quoted in a document that is quoted itself, and again: the whole line
    r'|\\"(?:[^"\\\n]|\\\\(?:\\")?|\\[^"\\\n])*\\{0,2}"?'
    r"|\\'(?:[^'\\\n]|\\\\(?:\\')?|\\[^'\\\n])*\\{0,2}'?"
    r'|"(?:[^"\\\n]|\\[^\n])*"?'
    r"|'(?:[^'\\\n]|\\[^\n])*'?"
    r"|[^\s\"'][^\s]*"
    r")"
)
_KEY_BEGINS = r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_KEY_ENDS = r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
#: A token without a name before it begins where a word begins.
_ALONE = r"(^|[^A-Za-z0-9_-])"


def _unless_a_word(match: re2._Match) -> str:
    """Of `basic …`: credentials have a capital, a digit or padding; `authentication` has not."""
    secret = any(c.isupper() or c.isdigit() or c == "=" for c in match[2])
    return match[1] + MASKED if secret else str(match[0])


#: `systemd-ask-password-console.path: Failed …` is a unit and what became of it.
_UNIT = re2.compile(
    r"-[\w.-]*\.(?:automount|mount|path|scope|service|slice|socket|swap|target|timer): "
)


def _unless_a_unit(match: re2._Match) -> str:
    return str(match[0]) if _UNIT.search(match[1]) else match[1] + MASKED


_PATTERNS: tuple[tuple[str, str | Callable[[re2._Match], str]], ...] = (
    # whole blocks first: what is inside must not be cut by the narrower patterns
    (rf"{_KEY_BEGINS}(?s:.*?)(?:{_KEY_ENDS}|\z)", MASKED),
    (r"\$ANSIBLE_VAULT;[^\n]*(?:\n\s*[0-9a-f]{2,})*", MASKED),
    (r"(?i)((?:authorization|cookie)\\*[\"']?\s*[:=]\s*)[^\n]+", rf"\1{MASKED}"),
    (r"(://[^\s:/@\"'<>]*:)[^\s\"'<>]+(@)", rf"\1{MASKED}\2"),
    (r"(://)[^\s:/@\"'<>]{16,}(@)", rf"\1{MASKED}\2"),
    (r"(?i)(\bbearer\s+)[^\s\"',;]{6,}", rf"\1{MASKED}"),
    (r"((?i:\bbasic)\s+)([A-Za-z0-9+/_-]{6,}=*)", _unless_a_word),
    (
        rf"(?i)((?:(?:{_NAMES})[\w.-]{{0,64}}\\*[\"']?\s{{0,8}}(?:=>|:=|==|[:=])\s{{0,8}}"
        rf"|\bpass=\s{{0,8}}|[?&]sig=|signature=)(?:[|>][+-]?[ \t]*\n\s{{0,40}})?){_VALUE}",
        _unless_a_unit,
    ),
    (rf"(?i)(-(?:-[\w-]{{0,40}})?(?:{_NAMES})[\w-]{{0,40}}\s+){_VALUE}", rf"\1{MASKED}"),
    (r"((?:\s-u|--user)[ =]?\s*[^\s:]+:)\S+", rf"\1{MASKED}"),
    (r"(?i)(\bIDENTIFIED\s+BY\s+)(?:'[^']*'|\"[^\"]*\"|\S+)", rf"\1{MASKED}"),
    (r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b", MASKED),
    (r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){0,3}", MASKED),
    (r"gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{20,}|glpat-[\w-]{18,}", MASKED),
    (r"xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}", MASKED),
    (
        r"https://(?:hooks\.slack\.com|discord(?:app)?\.com/api/webhooks"
        r"|[a-z0-9.-]{1,80}\.webhook\.office\.com)/\S+",
        MASKED,
    ),
    (rf"{_ALONE}(?:sk-[A-Za-z0-9_-]{{20,}}|[rsp]k_(?:live|test)_\w{{16,}})", rf"\1{MASKED}"),
    (rf"{_ALONE}(?:AIza[\w-]{{30,}}|ya29\.[\w-]{{20,}}|whsec_\w{{20,}})", rf"\1{MASKED}"),
    (
        rf"{_ALONE}(?:npm_[A-Za-z0-9]{{30,}}|pypi-[\w-]{{30,}}|dop_v1_[0-9a-f]{{40,}})",
        rf"\1{MASKED}",
    ),
    (rf"{_ALONE}(?:hv[sbr]\.[\w-]{{20,}}|SG\.[\w-]{{16,}}\.[\w-]{{16,}})", rf"\1{MASKED}"),
    (rf"{_ALONE}(?:[0-9]{{8,10}}:AA[\w-]{{30,}}|AGE-SECRET-KEY-1[0-9A-Z]{{40,}})", rf"\1{MASKED}"),
    (r"\$(?:1|5|6|y|2[abxy]|argon2\w{1,3}|pbkdf2[\w-]{0,20})\$[^\s:\"']{8,}", MASKED),
)
_COMPILED = tuple((re2.compile(f"(?m){pattern}"), by) for pattern, by in _PATTERNS)
_FIRST_END = re2.compile(_KEY_ENDS)
_FIRST_BEGIN = re2.compile(_KEY_BEGINS)
_NAMES_A_SECRET = re2.compile(f"(?i){_NAMES}")
#: Colours of a terminal, which would hide a name from the patterns.
_COLOUR = re2.compile(r"\x1b\[[0-9;]{0,32}[A-Za-z]")


class Mask:
    """Masks secrets: by our own patterns, by those of `mask.patterns`, and by their values.

    Raises ConfigError for a pattern that RE2 cannot compile. A group named `secret` in a
    pattern of the configuration limits what is masked.
    """

    def __init__(self, patterns: Sequence[str] = (), *, vault: Vault | Known | None = None) -> None:
        self.patterns = tuple(patterns)
        self.vault = vault  #: knows what is secret whatever it looks like
        self._own = tuple(compiled("mask.patterns", each) for each in patterns)

    def described(self) -> dict[str, Any]:
        """All that `of` needs to make the same mask in another process. It holds secrets."""
        vault = self.vault.known() if isinstance(self.vault, Vault) else self.vault
        return {"patterns": self.patterns, "vault": vault.described() if vault else None}

    def knowing(self, secrets: Mapping[str, str]) -> Mask:
        """The same mask, which also takes out these values; short ones below their name only."""
        if not secrets:
            return self
        vault = self.vault.known() if isinstance(self.vault, Vault) else self.vault or Known()
        return Mask(self.patterns, vault=vault.knowing(secrets))

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Mask:
        """The mask that `described` tells of."""
        vault = described["vault"]
        return cls(described["patterns"], vault=Known.of(vault) if vault else None)

    def __call__(self, text: str) -> str:
        """`text` without secrets and terminal colours, at most MAX_TEXT characters of it."""
        text = (text if self.vault is None else self.vault(text))[:MAX_TEXT]
        text = _COLOUR.sub("", storable(text))
        for pattern in self._own:
            text = pattern.sub(_cover, text)
        # What stands before the end of a private key whose beginning was cut off.
        end = _FIRST_END.search(text)
        if end is not None and not _FIRST_BEGIN.search(text[: end.start()]):
            text = MASKED + text[end.end() :]
        for pattern, by in _COMPILED:
            text = pattern.sub(by, text)
        return text

    def hides(self, key: str, value: object) -> bool:
        """Whether a value that stands below this key in data is secret as a whole."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return False
        named = _NAMES_A_SECRET.search(storable(key)) is not None
        return named or (self.vault is not None and self.vault.hides(key, value))


def _cover(match: re2._Match) -> str:
    whole: str = match[0]
    if "secret" not in match.re.groupindex or match["secret"] is None:
        return MASKED if whole else ""
    start, end = match.span(match.re.groupindex["secret"])
    return whole[: start - match.start()] + MASKED + whole[end - match.start() :]
