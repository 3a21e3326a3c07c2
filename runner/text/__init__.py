"""Text from outside, made harmless for where it goes: the store, a terminal, a line of log.

Labels keep what was sent, because they are compared; only what no store can
hold is replaced on the way in. What people see goes through `visible`.

What matches such text must take time linear in its length, whatever stands in it: RE2
does. `pattern` reads the regular expressions of the configuration.
"""

from __future__ import annotations

import re

import re2

from runner.errors import ConfigError

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  #: stands for what cannot be stored
CUT = "…"  #: the last character of a text that was longer

_NOT_STORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """`text` with each NUL and lone surrogate replaced: neither fits into a database."""
    return _NOT_STORABLE.sub(REPLACEMENT, text)


def visible(text: str, *, lines: bool = False) -> str:
    r"""`text` with every character that could act on a terminal written out, as `\x1b`.

    That covers control characters, terminal escapes, direction overrides,
    zero-width characters and odd spaces. `lines` keeps line ends and tabs.
    """
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(
        c if c.isprintable() or c in kept else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def cut(text: str, limit: int) -> str:
    """`text`, of at most `limit` characters; the last one is `…` when some are missing."""
    return text if len(text) <= limit else text[: limit - 1] + CUT


def brief(text: str, limit: int = 80) -> str:
    """`text` as one short harmless line, for messages."""
    return visible(cut(" ".join(text[: 4 * limit].split()), limit))


def pattern(setting: str, expression: str, flags: str = "") -> re2._Regexp:
    """A regular expression of the configuration. Raises ConfigError for one RE2 does not know."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(expression, options)  # as it is written: what is wrong is said of that
        return re2.compile(f"{flags}{expression}", options)
    except re2.error as error:
        why = error.args[0].decode(errors="replace") if error.args else "unknown error"
        raise ConfigError(
            f"{setting}: {expression!r} is not a regular expression of RE2 ({why}); "
            "look-around and back-references do not exist there"
        ) from None
