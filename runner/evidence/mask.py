"""Secrets in text become `[masked]` before anybody reads it (invariant 13).

The patterns are our own short list. detect-secrets was looked at: it scans files
under process-wide settings and with regular expressions that have no time limit,
and most of the text here was written by whoever can write to a log. For the same
reason too much is masked rather than too little, and a pattern that takes too long
masks everything.
"""

from __future__ import annotations

from collections.abc import Sequence

import regex

from runner.errors import ConfigError
from runner.vault import Vault

MASKED = "[masked]"
SECONDS = 1.0  #: for one pattern on one text
MAX_TEXT = 64 * 1024  #: characters; the rest is cut off before anything is matched

_NAMES = (
    r"passw(?:or)?d|passphrase|passcode|pwd|\bpass(?==)|secret|token|credential"
    r"|(?:private|api|access|account|auth|encryption|signing|shared|session)[_.-]?(?:access[_.-]?)?key"
    r"|session[_.-]?id|(?<=[?&])sig(?:nature)?(?==)|signature(?==)"
)
#: What follows a name: a quoted value, also inside a quoted document, or one word.
_VALUE = r"""(?:(?P<quote>\\*["'])[^\n]*?(?:(?<!\\)(?P=quote)|(?=\n|\Z))|[^\s"'][^\s]*)"""

_PATTERNS: tuple[tuple[str, str], ...] = (
    # whole blocks first: what is inside must not be cut by the narrower patterns
    (
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
        MASKED,
    ),
    # the end of a block whose beginning was cut off
    (
        r"(?s)\A(?:(?!-----BEGIN).)*?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
        MASKED,
    ),
    (r"\$ANSIBLE_VAULT;[^\n]*(?:\n\s*[0-9a-f]{2,})*", MASKED),
    (r"(?i)((?:authorization|cookie)\\*[\"']?\s*[:=]\s*)[^\n]+", rf"\1{MASKED}"),
    (r"(://[^\s:/@\"'<>]*:)[^\s\"'<>]+(@)", rf"\1{MASKED}\2"),
    (r"(://)[^\s:/@\"'<>]{16,}(@)", rf"\1{MASKED}\2"),
    (r"(?i)(\bbearer\s+)[^\s\"',;]{6,}", rf"\1{MASKED}"),
    (r"((?i:\bbasic)\s+)(?=[^\s]*[A-Z0-9=])[A-Za-z0-9+/_-]{6,}=*", rf"\1{MASKED}"),
    (
        rf"(?i)((?:{_NAMES})[\w.-]{{0,64}}\\*[\"']?\s{{0,8}}(?:=>|:=|==|[:=])\s{{0,8}}"
        rf"(?:[|>][+-]?[ \t]*\n\s{{0,40}})?){_VALUE}",
        rf"\1{MASKED}",
    ),
    (rf"(?i)(-(?:-[\w-]{{0,40}})?(?:{_NAMES})[\w-]{{0,40}}\s+){_VALUE}", rf"\1{MASKED}"),
    (r"((?:\s-u|--user)[ =]?\s*[^\s:]+:)\S+", rf"\1{MASKED}"),
    (r"(?i)(\bIDENTIFIED\s+BY\s+)(?:'[^']*'|\"[^\"]*\"|\S+)", rf"\1{MASKED}"),
    (r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}", MASKED),
    (r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){0,3}", MASKED),
    (r"gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{20,}|glpat-[\w-]{18,}", MASKED),
    (r"xox[a-z]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}", MASKED),
    (r"https://hooks\.slack\.com/\S+", MASKED),
    (r"(?:sk|rk|pk)[-_][A-Za-z0-9_-]{20,}|AIza[\w-]{30,}|npm_[A-Za-z0-9]{30,}", MASKED),
    (r"hv[sbr]\.[\w-]{20,}|pypi-[\w-]{30,}|SG\.[\w-]{16,}\.[\w-]{16,}", MASKED),
    (r"\$(?:1|5|6|y|2[abxy]|argon2\w{1,3}|pbkdf2[\w-]{0,20})\$[^\s:\"']{8,}", MASKED),
)
_COMPILED = tuple((regex.compile(pattern), by) for pattern, by in _PATTERNS)
#: Colours of a terminal, which would hide a name from the patterns.
_COLOUR = regex.compile(r"\x1b\[[0-9;]{0,32}[A-Za-z]")


class Mask:
    """Masks secrets by our own patterns and those of `mask.patterns`.

    Raises ConfigError for a pattern that cannot be compiled. A group named
    `secret` in a pattern of the configuration limits what is masked.
    """

    def __init__(
        self,
        patterns: Sequence[str] = (),
        *,
        vault: Vault | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self.vault = vault  #: knows what is secret whatever it looks like
        self._own = tuple(_compile(pattern) for pattern in patterns)
        self._seconds = seconds

    def __call__(self, text: str) -> str:
        """`text` without secrets and terminal colours, at most MAX_TEXT characters of it."""
        text = (text if self.vault is None else self.vault(text))[:MAX_TEXT]
        try:
            text = _COLOUR.sub("", text, timeout=self._seconds)
            for pattern in self._own:
                text = pattern.sub(_cover, text, timeout=self._seconds)
            for pattern, by in _COMPILED:
                text = pattern.sub(by, text, timeout=self._seconds)
        except TimeoutError:
            return f"{MASKED}: the text takes too long to search for secrets"
        return text

    def hides(self, key: str, value: object) -> bool:
        """Whether a value that stands below this key in data is secret as a whole."""
        return self.vault is not None and self.vault.hides(key, value)


def _compile(pattern: str) -> regex.Pattern[str]:
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise ConfigError(
            f"mask.patterns: {pattern!r} is not a regular expression ({error})"
        ) from None


def _cover(match: regex.Match[str]) -> str:
    whole: str = match[0]
    if "secret" not in match.re.groupindex or match["secret"] is None:
        return MASKED if whole else ""
    start, end = match.span("secret")
    return whole[: start - match.start()] + MASKED + whole[end - match.start() :]
