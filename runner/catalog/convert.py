"""Values into the types of argument_specs, strictly: nothing is guessed, nothing rounded."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

_INT = re.compile(r"[+-]?[0-9]{1,18}")
_FLOAT = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?")
_TRUE = frozenset({"y", "yes", "on", "1", "true", "t"})
_FALSE = frozenset({"n", "no", "off", "0", "false", "f"})


def convert(value: Any, kind: str, elements: str = "str") -> Any:
    """`value` as `kind`, one of TYPES. Raises ValueError with a predicate: «must be …»."""
    if kind == "list":
        return [convert(item, elements) for item in _items(value)]
    return TYPES[kind](value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"must be a text, not {_shown(value)}")


def _int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and _INT.fullmatch(value):
        return int(value)
    raise ValueError(f"must be a whole number, not {_shown(value)}")


def _float(value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number or (isinstance(value, str) and _FLOAT.fullmatch(value)):
        try:
            made = float(value)
        except OverflowError:
            made = math.inf
        if math.isfinite(made):
            return made
    raise ValueError(f"must be a number, not {_shown(value)}")


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int):
        word = str(value).lower()[:6] if isinstance(value, str) else _digit(value)
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    raise ValueError(f"must be true or false, not {_shown(value)}")


def _digit(value: int) -> str:
    return str(value) if value in (0, 1) else ""


def _items(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    raise ValueError(f"must be a list, not {_shown(value)}")


def _dict(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return dict(value)
    raise ValueError(f"must be a mapping of names, not {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return repr(value[:60])
    return f"a value of type {type(value).__name__}"


TYPES: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "path": _text,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "list": _items,
    "dict": _dict,
}
