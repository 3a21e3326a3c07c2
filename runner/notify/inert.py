"""Text from outside, made powerless in chats and mails (invariant 5).

Whoever controls a label must not be able to call a channel together, to hide a
link behind a word, or to write lines that look like the runner's own. `visible`
takes care of what a terminal would act on; this module of what a chat would.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from runner.text import cut, visible

#: Put behind a character that would otherwise begin a mention or a link. It shows as
#: nothing, so host names and paths still read as what they are.
BREAK = "\N{ZERO WIDTH SPACE}"
#: Begins each line of outside text that has several: the runner's own lines never do.
MARGIN = "  │ "

_TRIGGERS = re.compile(
    r"""
      [@\N{FULLWIDTH COMMERCIAL AT}]   # @channel, @everyone, user@host
    | <(?=[^\s<])                      # <!here>, <@U1>, <#C1>, <https://…|word>, a tag
    | !(?=[\w\[])                      # !here>, ![image](…)
    | [\])](?=[(\[])                   # [word](https://…), [word][reference]
    | :(?=//)                          # https://…
    | \b(?:mailto|tel|javascript|data)(?=:)
    | \bwww(?=\.)
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Own(str):
    """Text that the runner itself wrote, or made harmless already."""

    __slots__ = ()


def inert(text: str) -> str:
    """`text` without a working mention, link or image; it reads the same."""
    return _TRIGGERS.sub(lambda found: found[0] + BREAK, text)


class Cleaner:
    """What everything from outside passes on its way into a message: mask, visible, inert."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        self.mask = mask

    def line(self, value: object, limit: int = 500) -> str:
        """`value` as one harmless line of at most `limit` characters, not counting breaks."""
        if isinstance(value, Own):
            return value
        # Masked first: a secret that is cut in two is not recognised any more.
        return Own(inert(cut(visible(self.mask(str(value))), limit)))

    def block(self, value: object, lines: int = 40, limit: int = 4000) -> str:
        """`value` as harmless lines, each behind a margin, with a note when some are missing."""
        text = visible(self.mask(str(value)), lines=True).rstrip("\n")
        kept = cut(text, limit).split("\n")
        shown = [MARGIN + inert(line) for line in kept[:lines]]
        if missing := text.count("\n") + 1 - len(shown):
            shown.append(f"{MARGIN}… and {missing} more lines")
        return Own("\n".join(shown))
