"""Values into PromQL: only into the quoted value of a matcher, and escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from runner.errors import CatalogError, Refused

_NAME = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?P<raw>`[^`]*`)|(?P<comment>\#[^\n]*)|(?P<open>["'`].*)|(?P<other>[^"'`\#]+)""",
    re.DOTALL,
)
_MATCHES = re.compile(r"(=~|!~|!=|=)\s*$")
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")


def fill(promql: str, values: Mapping[str, str]) -> str:
    """`promql` with `$name` and `${name}` replaced by values that cannot leave their quotes.

    In `=~` and `!~` matchers they stand for themselves, never for a pattern. Raises
    CatalogError for a `$name` anywhere else, Refused when a value is missing.
    """
    return "".join(_filled(promql, values))


def names(promql: str) -> frozenset[str]:
    """The names that `fill` needs. Raises CatalogError like `fill`."""
    found: set[str] = set()
    for kind, operator, text in _tokens(promql):
        for name in _names_in(text):
            _placed(promql, kind, operator, name)
            found.add(name)
    return frozenset(found)


def _filled(promql: str, values: Mapping[str, str]) -> Iterator[str]:
    for kind, operator, text in _tokens(promql):
        if kind == "comment":
            yield text
            continue
        for name in _names_in(text):
            _placed(promql, kind, operator, name)
            if name not in values:
                raise Refused(f"{promql[:200]!r} needs a value for ${name}, and there is none")
        pattern = operator in ("=~", "!~")
        yield _NAME.sub(lambda m, p=pattern, q=text[:1]: _escaped(values[m[1] or m[2]], p, q), text)


def _names_in(text: str) -> list[str]:
    return [braced or bare for braced, bare in _NAME.findall(text)]


def _tokens(promql: str) -> Iterator[tuple[str, str, str]]:
    """(kind, the matching operator just before or empty, text) of each part, in order."""
    before = ""
    for token in _TOKEN.finditer(promql):
        kind, text = token.lastgroup or "other", token[0]
        if kind == "open":
            raise CatalogError(f"{promql[:200]!r} has a quote that is not closed")
        operator = _MATCHES.search(before)
        yield kind, operator[1] if operator and kind == "string" else "", text
        if kind != "comment":
            before = text


def _placed(promql: str, kind: str, operator: str, name: str) -> None:
    """Refuse a name that is not in the quoted value of a matcher."""
    if kind == "comment" or (kind == "string" and operator):
        return
    raise CatalogError(
        f"{promql[:200]!r}: ${name} may stand only in the quoted value of a matcher, "
        f'such as instance="${name}"'
    )


def _escaped(value: str, pattern: bool, quote: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refused("a label holds what is not Unicode text, so it cannot be asked for") from None
    if pattern:
        value = _META.sub(r"\\\g<0>", value)
    value = value.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return "".join(_plain(character) for character in value)


def _plain(character: str) -> str:
    if character == "\n":
        return "\\n"
    return character if character >= " " and character != "\x7f" else f"\\x{ord(character):02x}"
