"""What Ansible shows at its terminal, bounded, on its way to ansible-runner.

ansible-runner finds the beginning and end of each event in that text by a mark, and holds
everything in between. So text in between is kept up to a bound, and a mark that is not one
of ansible-runner's own, because a host printed it, is taken out.
"""

from __future__ import annotations

import base64
import json

import re2

MARK = "\x1b[K"
MAX_SHOWN = 100_000  #: characters kept between two marks
_TOKEN = re2.compile(r"((?:[A-Za-z0-9+/=]+\x1b\[\d+D)+)")
_WIDTH = re2.compile(r"\x1b\[\d+D")
_LONGEST_TOKEN = 400  #: characters; it holds an event's id and nothing else


class OutputFilter:
    """A filter that is called with each piece of text, and answers what is kept of it."""

    def __init__(self) -> None:
        self._held = ""  # what may become a mark with the next piece
        self._pending: str | None = None  # what follows a mark and may become a token
        self._left = MAX_SHOWN

    def __call__(self, text: str) -> str:
        text = self._held + text
        # The beginning of a mark at the end is held back.
        size = next((n for n in (2, 1) if text.endswith(MARK[:n])), 0)
        self._held = text[len(text) - size :]
        first, *others = text[: len(text) - size].split(MARK)
        kept = [self._more(first)]
        for part in others:  # before it stands a mark: a token's end, or where one may begin
            found, self._pending = self._pending, ""
            if found is not None and _is_token(found):
                self._pending, self._left = None, MAX_SHOWN
                kept.append(f"{MARK}{found}{MARK}")
            elif found is not None:
                kept.append(self._bounded(found))
            kept.append(self._more(part))
        return "".join(kept)

    def _more(self, text: str) -> str:
        """Text that is no mark."""
        if self._pending is None:
            return self._bounded(text)
        if len(self._pending) + len(text) <= _LONGEST_TOKEN:
            self._pending += text
            return ""
        found, self._pending = self._pending + text, None
        return self._bounded(found)

    def _bounded(self, text: str) -> str:
        kept = text[: self._left]
        self._left -= len(kept)
        return kept


def _is_token(text: str) -> bool:
    """Whether it is what ansible-runner's callback writes: the id of an event, or nothing."""
    if _TOKEN.fullmatch(text) is None:
        return False
    try:
        value = json.loads(base64.b64decode(_WIDTH.sub("", text), validate=True))
    except ValueError:
        return False
    return isinstance(value, dict) and value.keys() <= {"uuid"}
