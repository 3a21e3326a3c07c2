"""YAML as people mean it in runner.yml: `on` is a key, `22:00` a time, `2026-12-24` a text."""

from __future__ import annotations

import re
from typing import Any

import yaml

_BOOL = "tag:yaml.org,2002:bool"
_INT = "tag:yaml.org,2002:int"
_DATE = "tag:yaml.org,2002:timestamp"


#: Of mappings and lists in one file.
MAX_DEPTH = 100
#: libyaml's, in a tenth of the time. Ansible takes it, too: the two of PyYAML differ in what they
#: read (`{a: b?}`).
Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Plain(Parser):  # type: ignore[misc]
    """The core schema of YAML 1.2 instead of 1.1, and each key of a mapping once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                line = key.start_mark.line + 1
                raise ValueError(f"the key {key.value!r} is written twice (line {line}); keep one")
            seen.add(key.value)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


_Plain.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag not in (_BOOL, _INT, _DATE)]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Plain.add_implicit_resolver(
    _BOOL, re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Plain.add_implicit_resolver(_INT, re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))


def read_yaml(text: str) -> Any:
    """The content of the text. Raises ValueError with a sentence."""
    try:
        if is_deep(text):
            raise ValueError("is nested too deeply")
        return yaml.load(text, Loader=_Plain)
    except yaml.YAMLError as error:
        raise ValueError(f"is not YAML: {' '.join(str(error).split())[:300]}") from None
    except UnicodeEncodeError:
        raise ValueError("is not UTF-8 text") from None


def untagged(loader: Any, _tag: str, node: yaml.Node) -> Any:
    """The plain value of what has a tag: a constructor for any tag, as `!vault` and `!unsafe`."""
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


def is_deep(text: str) -> bool:
    """Whether it is nested too deeply. libyaml's loader builds by recursion and would end the
    process; its parser takes a time that grows with the square of the depth."""
    now = 0
    for event in yaml.parse(text, Loader=Parser):
        if isinstance(event, yaml.CollectionStartEvent):
            now += 1
            if now > MAX_DEPTH:
                return True
        elif isinstance(event, yaml.CollectionEndEvent):
            now -= 1
    return False
