"""Alertmanager's hash of a label set, which is the same on every peer and for every route."""

from __future__ import annotations

import hashlib
import json

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


def identity(source: str, labels: Labels) -> str:
    """The fingerprint of another sender's alert: its name and its labels.

    It has another form than Alertmanager's, and nobody can find two label sets with the same
    one, so no sender can write labels that make its alert somebody else's.
    """
    kept = sorted((name, value) for name, value in labels.items() if value)
    digest = hashlib.sha256(json.dumps([source, kept]).encode()).hexdigest()
    return f"{source}-{digest[:32]}"
