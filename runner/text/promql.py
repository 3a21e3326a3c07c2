"""Values into PromQL: only into the quoted value of a matcher, and escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from string import ascii_letters, digits

from runner.errors import CatalogError, Refused

#: An escape is taken first: a value must never follow a lone backslash.
_NAME = re.compile(r"\\.|\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))", re.DOTALL)
_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?P<raw>`[^`]*`)|(?P<comment>\#[^\n]*)|(?P<open>["'`].*)|(?P<other>[^"'`\#]+)""",
    re.DOTALL,
)
_METRIC = f"{ascii_letters}{digits}_:"  #: signs of a metric's name
_MATCHES = re.compile(r"(=~|!~|!=|=)\s*$")
_META = re.compile(r"[\\.+*?()|\[\]{}^$]")
#: How a control character is written in a quoted value.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127)} | {ord("\n"): "\\n"}


def values(labels: Mapping[str, str], host: str | None = None) -> dict[str, str]:
    """What a query may name: every label of the alert, and `$host`, the located host.

    A label that is called host is left out, so that `$host` never comes from outside.
    """
    named = {name: value for name, value in labels.items() if name != "host"}
    return named if host is None else named | {"host": host}


def fill(promql: str, values: Mapping[str, str]) -> str:
    """`promql` with `$name` and `${name}` replaced by values that cannot leave their quotes.

    In `=~` and `!~` matchers they stand for themselves, never for a pattern. Raises
    CatalogError for a `$name` anywhere else, Refused when a value is missing.
    """
    for name in sorted(names(promql)):
        if name not in values:
            raise Refused(f"{promql[:200]!r} needs a value for ${name}, and there is none")
    filled = []
    for _, operator, text in _tokens(promql):
        position = 0
        for match in _NAME.finditer(text) if operator else ():
            name = match[1] or match[2]
            value = _escaped(values[name], operator, quote=text[0]) if name else match[0]
            filled += [text[position : match.start()], value]
            position = match.end()
        filled.append(text[position:])
    return "".join(filled)


def names(promql: str) -> frozenset[str]:
    """The names that `fill` needs. Raises CatalogError like `fill`."""
    found: set[str] = set()
    for kind, operator, text in _tokens(promql):
        named = _NAME.findall(text) if kind != "comment" else []
        here = [braced or bare for braced, bare in named if braced or bare]
        if here and not operator:
            raise CatalogError(
                f"{promql[:200]!r}: ${here[0]} may stand only in the quoted value of a matcher, "
                f'such as instance="${here[0]}"'
            )
        found.update(here)
    return frozenset(found)


def selectors(promql: str) -> list[str]:
    """The selectors with matchers in a query, each once, as in `up{job="node"}`.

    Of a query longer than 4,096 characters, or with a quote that is not closed, none.
    """
    if len(promql) > 4096:
        return []
    found: dict[str, None] = {}
    begin, position = -1, 0
    try:
        for kind, _, text in _tokens(promql):
            for place, sign in enumerate(text, start=position) if kind == "other" else ():
                if sign == "{":
                    begin = place
                elif sign == "}" and begin >= 0:
                    before = promql[:begin]
                    metric = before[len(before.rstrip(_METRIC)) :]
                    if promql[begin + 1 : place].strip():
                        found[metric + promql[begin : place + 1]] = None
                    begin = -1
            position += len(text)
    except CatalogError:
        return []
    return list(found)


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


def _escaped(value: str, operator: str, *, quote: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refused("a label holds what is not Unicode text, so it cannot be asked for") from None
    if operator in ("=~", "!~"):
        value = _META.sub(r"\\\g<0>", value)
    value = value.replace("\\", "\\\\").replace(quote, "\\" + quote)
    return value.translate(_CONTROLS)
