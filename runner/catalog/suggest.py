"""The matcher that would make a rule of what people approved: an alternative, and a diff for it.

Nothing is written. Who keeps the catalog reads the diff and applies it, or does not.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import yaml

from runner.catalog.entry import Entry
from runner.catalog.near import nearest_miss
from runner.incident import Labels
from runner.text.matcher import Matcher, Matchers, parse_alternatives

_NAME = "alertname"


def alternative(entry: Entry, alerts: Sequence[Labels]) -> Matchers:
    """The narrowest alternative that covers these alerts, all of one name, which it fixed.

    It asks for the name, for each label that the entry takes a value from and all of them have,
    and for whatever else the nearest alternative of `match` asks for and all of them fulfil.
    """
    first = alerts[0]
    found = [Matcher(_NAME, "=", first.get(_NAME, ""))]
    for parameter in entry.parameters.values():
        names = parameter.labels if parameter.kind == "label" else ()
        given = (name for name in names if all(labels.get(name) for labels in alerts))
        found += [Matcher(name, "!=", "") for name in list(given)[:1]]
    nearest = nearest_miss(first, entry)
    others = nearest.matchers if nearest is not None else ()
    found += [
        matcher
        for matcher in others
        if matcher.label != _NAME and all(matcher.matches(labels) for labels in alerts)
    ]
    return tuple(dict.fromkeys(found))


def extended(entry: Entry, more: Matchers) -> Entry:
    """The entry as it would be with one more alternative."""
    return entry.model_copy(update={"match": (*entry.match, more)})


def diff(entry: Entry, more: Matchers) -> str:
    """A unified diff of entry.yml that adds the alternative `more`; it keeps comments where the
    file has its lists as blocks. Raises OSError when the file cannot be read."""
    path = entry.folder / "entry.yml"
    old = path.read_text(encoding="utf-8")
    new = _edited(old, (*entry.match, more), more)
    name = f"{entry.folder.name}/entry.yml"
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), f"a/{name}", f"b/{name}", lineterm=""
    )
    return "\n".join(lines)


def _edited(text: str, wanted: tuple[Matchers, ...], more: Matchers) -> str:
    lines = text.splitlines(keepends=True)
    first, end = _place(text, len(lines))
    block = lines[first:end]
    added = f"  - [{', '.join(_quoted(str(matcher)) for matcher in more)}]\n"
    for changed in ([*block, added], [*_nested(block), added]):
        made = "".join([*lines[:first], *changed, *lines[end:]])
        if _says(made, wanted):
            return made
    listed = (", ".join(_quoted(str(matcher)) for matcher in each) for each in wanted)
    fresh = ["match:\n", *(f"  - [{each}]\n" for each in listed)]
    return "".join([*lines[:first], *fresh, *lines[end:]])


def _place(text: str, length: int) -> tuple[int, int]:
    """The lines of the key `match`, from its own to the one after its last; where there is none,
    an empty place at the end."""
    lines, node = text.splitlines(), yaml.compose(text, Loader=yaml.SafeLoader)
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value == "match":
            last = value.end_mark
            end = min(last.line if last.column == 0 else last.line + 1, length)
            # What is empty, or a comment at the margin, belongs to what follows.
            while end > key.start_mark.line + 1 and lines[end - 1].strip()[:1] in ("", "#"):
                end -= 1
            return key.start_mark.line, end
    return length, length


def _nested(block: Sequence[str]) -> list[str]:
    """A block list one deeper, as the first item of a list of lists."""
    made, begun = list(block[:1]), False
    for line in block[1:]:
        item = line.lstrip(" ")
        first = not begun and item.startswith("- ")
        made.append(f"  - {item}" if first else f"    {item}")
        begun = begun or first
    return made


def _says(text: str, wanted: tuple[Matchers, ...]) -> bool:
    try:
        return parse_alternatives(yaml.safe_load(text)["match"]) == wanted
    except (yaml.YAMLError, KeyError, TypeError, ValueError):
        return False


def _quoted(text: str) -> str:
    """As YAML takes it whatever it holds: in single quotes, or escaped in double ones."""
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    escaped: str = yaml.safe_dump(text, default_style='"', width=float("inf"))
    return escaped.strip()
