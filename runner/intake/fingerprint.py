"""Alertmanager's hash of a label set, which is the same on every peer and for every route."""

from __future__ import annotations

from runner.incident import Labels

_OFFSET = 14695981039346656037
_PRIME = 1099511628211
_MASK = 0xFFFF_FFFF_FFFF_FFFF
_SEPARATOR = b"\xff"  # cannot occur in UTF-8


def fingerprint(labels: Labels) -> str:
    """16 hexadecimal digits: 64-bit FNV-1a over the sorted names and values.

    Labels with an empty value do not count; Alertmanager removes them.
    """
    total = _OFFSET
    for byte in b"".join(
        name.encode() + _SEPARATOR + labels[name].encode() + _SEPARATOR
        for name in sorted(labels)
        if labels[name]
    ):
        total = ((total ^ byte) * _PRIME) & _MASK
    return f"{total:016x}"
