"""Text from outside on its way into a prompt: masked, visible, capped, and only behind a fence."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable

from runner.text import cut, storable, visible

#: What stands for the fence where a prompt is compared with another one.
PLACEHOLDER = "0" * 16
#: Characters that are masked before the text is cut, so that no secret is cut from its name.
_NEAR = 16 * 1024

Masks = Callable[[str], str]


def fence() -> str:
    """A delimiter that nobody outside can know, anew for each call."""
    return secrets.token_hex(8)


class Outside:
    """One text from outside. A template can show it in one way only: `shown`.

    It is no text itself, so that `{{ item.text }}` without the partial that fences it is an
    error and not a hole.
    """

    def __init__(self, text: str, *, mask: Masks, limit: int, marker: str, head: str = "") -> None:
        """`head` is a line before it."""
        first = cut(_clear(head, mask, marker), limit // 2) + "\n" if head else ""
        body, room = _clear(text[:_NEAR], mask, marker), limit - len(first)
        self._text = first + cut(body, room)

    @property
    def shown(self) -> str:
        """The harmless text, for `_untrusted.md.j2`."""
        return self._text

    def __str__(self) -> str:
        raise TypeError("text from outside enters a prompt by _untrusted.md.j2 only")

    __format__ = None  # type: ignore[assignment]
    __html__ = __str__

    def __bool__(self) -> bool:
        return bool(self._text)


def _clear(text: str, mask: Masks, marker: str) -> str:
    """Masked, without the marker, and with every character that could act written out."""
    # NFKC first: letters that only look like others are what they look like, to detectors too.
    clear = unicodedata.normalize("NFKC", mask(storable(text)))
    return visible(clear.replace(marker, "[fence]"), lines=True)
