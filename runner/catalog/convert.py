"""A value from outside as the type that a variable has."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

#: Type → what a value of it must be.
TYPES = {
    "str": "a text",
    "path": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping of names",
}
_INT = re.compile(r"[+-]?[0-9]{1,18}")
_FLOAT = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?")
_TRUE = frozenset({"y", "yes", "on", "1", "true", "t"})
_FALSE = frozenset({"n", "no", "off", "0", "false", "f"})


def convert(value: Any, kind: str, elements: str = "str") -> Any:
    """`value` as `kind`, one of TYPES. Raises ValueError with a predicate: «must be …»."""
    text = isinstance(value, str)
    whole = isinstance(value, int) and not isinstance(value, bool)
    match kind:
        case "str" | "path" if text or whole:
            return str(value)
        case "int" if whole or (text and _INT.fullmatch(value)):
            return int(value)
        case "float" if whole or isinstance(value, float) or (text and _FLOAT.fullmatch(value)):
            with suppress(OverflowError):
                if math.isfinite(made := float(value)):
                    return made
        case "bool" if isinstance(value, int) and value in (0, 1):
            return bool(value)
        case "bool" if text and value.lower() in _TRUE | _FALSE:
            return value.lower() in _TRUE
        case "list" if text or isinstance(value, list | tuple):
            items = filter(None, map(str.strip, value.split(","))) if text else value
            return [convert(item, elements) for item in items]
        case "dict" if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return dict(value)
    shown = repr(value[:60]) if text else f"a value of type {type(value).__name__}"
    raise ValueError(f"must be {TYPES[kind]}, not {shown}")
