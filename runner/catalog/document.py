"""YAML files of the catalog: duplicate keys are refused, Ansible's tags are understood."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from runner.text.plain_yaml import Parser, is_deep, untagged

_DUPLICATE = "the key {key!r} is written twice (line {line}); keep one"


class _Strict(Parser):  # type: ignore[misc]
    """YAML in which each key of a mapping is there once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = (key_node.tag, str(key_node.value))
            if key in seen:
                line = key_node.start_mark.line + 1
                raise ValueError(_DUPLICATE.format(key=key_node.value, line=line))
            seen.add(key)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


class _Ansible(_Strict):
    """The same, in which `!vault`, `!unsafe` and any other tag gives the plain value."""


_Ansible.add_multi_constructor("!", untagged)


def read(path: Path, *, ansible: bool = False) -> Any:
    """The content of the YAML file; None when it is empty.

    Raises ValueError with a sentence that names no path.
    """
    documents = read_all(path, ansible=ansible)
    if len(documents) > 1:
        raise ValueError("is not YAML: it holds several documents; keep one")
    return documents[0] if documents else None


def read_all(path: Path, *, ansible: bool = False) -> list[Any]:
    """The content of each document of the YAML file. Raises ValueError like `read`."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None
    try:
        if is_deep(text):
            raise ValueError("is nested too deeply")
        return list(yaml.load_all(text, Loader=_Ansible if ansible else _Strict))
    except yaml.YAMLError as error:
        raise ValueError(f"is not YAML: {' '.join(str(error).split())[:300]}") from None


def mapping(path: Path, *, ansible: bool = False) -> dict[str, Any]:
    """The same for a file that must hold a mapping. Raises ValueError with a sentence."""
    content = read(path, ansible=ansible)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError("must be a mapping of keys")
    return {str(key): value for key, value in content.items()}
