"""The last step of gathering: mask, cut, make visible, number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from runner.incident import Evidence
from runner.text import brief, storable, visible

ITEM = 4 * 1024  #: bytes of one item
TOTAL = 32 * 1024  #: bytes of all items, titles and sources included
ITEMS = 50  #: items; what is beyond is counted, not kept
_TITLE = 160  #: characters of a title or source
#: Characters that are masked: far more than is kept, so that no secret is cut from its name.
_NEAR = 64 * 1024
_LEAST = 200  #: bytes below which the start of an item is not worth keeping


def number(pieces: Iterable[Evidence], mask: Callable[[str], str]) -> tuple[Evidence, ...]:
    """`pieces` numbered from 1: masked, harmless to show, within ITEM and TOTAL bytes.

    What was cut is said in the item that lost it.
    """
    numbered: list[Evidence] = []
    left, given = TOTAL - 2 * _LEAST, list(pieces)
    for position, piece in enumerate(given[:ITEMS], start=1):
        bare = replace(
            piece,
            number=position,
            source=brief(mask(piece.source), _TITLE),
            title=brief(mask(piece.title), _TITLE),
            text="",
        )
        left -= len(bare.title.encode()) + len(bare.source.encode()) + len(bare.kind)
        if left < _LEAST:
            numbered.append(_rest(bare, len(given) - position))
            return tuple(numbered)
        text = visible(storable(mask(piece.text[:_NEAR])), lines=True)
        raw, limit = text.encode(), min(ITEM, left)
        if len(raw) > limit:
            note = f"[{len(raw)} bytes, cut to {limit}]"
            text = raw[: limit - len(note) - 1].decode(errors="ignore") + "\n" + note
        left -= len(text.encode())
        numbered.append(replace(bare, text=text))
    if len(given) > ITEMS:
        numbered[-1] = _rest(numbered[-1], len(given) - ITEMS)
    return tuple(numbered)


def _rest(last: Evidence, following: int) -> Evidence:
    more = f", and so were {following} items after it" if following else ""
    return replace(
        last, text=f"cut: all evidence is limited to {TOTAL} bytes and {ITEMS} items{more}"
    )
