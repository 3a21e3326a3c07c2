"""Regular expressions of Java, as conditions of rulebooks have them, in the words of RE2.

Only what means the same in both is taken. Java's `.` stops at five kinds of line ends, RE2's at
one; Java ignores the case of ASCII letters only, RE2 that of every letter; so these are spelled
out. Where the two could still differ, the pattern is refused, or it matches less than Java's.
"""

from __future__ import annotations

import re

MAX_LENGTH = 1000
_DOT = r"[^\n\r\x{85}\x{2028}\x{2029}]"
_ANY = (f"{_DOT}*", f"{_DOT}*?")
_QUANTIFIER = re.compile(r"(?:[*+?]|\{[0-9]{1,3}(?:,[0-9]{0,3})?\})\??")
_RANGE = re.compile(r"[0-9A-Za-z]-[0-9A-Za-z]")
_CLASSES = {
    "d": "0-9", "w": "0-9A-Za-z_", "s": r"\t\n\v\f\r ",
    "D": "0-9", "W": "0-9A-Za-z_", "S": r"\t\n\v\f\r ",
}  # fmt: skip
_DEPTH = 20


def re2_of(kind: str, text: str, *, ignorecase: bool, negated: bool) -> str:
    """The RE2 that matches a whole label exactly where Java finds `text` in it.

    `kind` is match, for the beginning of the label, or search or regex, for anywhere. A `$` stands
    for the end of the label only, where Java also takes a line end before it. Raises ValueError
    with a predicate of the pattern.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    reader = _Reader(text, ignorecase)
    alternatives = reader.alternatives(0)
    whole = "|".join(_anywhere(pieces, kind) for pieces in alternatives)
    if negated and ("[^" in whole or "$" in reader.anchors):
        raise ValueError("is negated, and `.`, `$` and `[^…]` shut out more in Java than here")
    if negated and kind == "match" and len(alternatives) > 1:
        raise ValueError("is negated and has alternatives, of which Java ties only the first down")
    return f"(?s){whole}" if ".*" in whole else whole


def _anywhere(pieces: list[str], kind: str) -> str:
    """One alternative, with whatever may stand before and behind it."""
    begins = kind == "match" or pieces[:1] == ["^"]
    ends = pieces[-1:] == ["$"]
    body = [piece for piece in pieces if piece not in ("^", "$")]
    while body and not ends and body[-1] in _ANY:
        body.pop()
    while body and not begins and body[0] in _ANY:
        body.pop(0)
    return ("" if begins else ".*") + "".join(body) + ("" if ends else ".*")


class _Reader:
    """One walk over the text; what it does not know it refuses."""

    def __init__(self, text: str, fold: bool) -> None:
        self.text, self.fold, self.at = text, fold, 0
        self.anchors = ""

    def alternatives(self, depth: int) -> list[list[str]]:
        """The pieces of each, up to the end or to the parenthesis that closes this group."""
        if depth > _DEPTH:
            raise ValueError("is nested too deeply")
        found: list[list[str]] = [[]]
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == ")" and depth:
                return found
            if char == "|":
                self.at += 1
                found.append([])
            elif char in "^$":
                found[-1].append(self.anchor(char, first=not found[-1], depth=depth))
            else:
                found[-1].append(self.piece(depth))
        if depth:
            raise ValueError("has a parenthesis that is never closed")
        return found

    def anchor(self, char: str, *, first: bool, depth: int) -> str:
        self.at += 1
        last = self.text[self.at : self.at + 1] in ("", "|")
        if depth or not (first if char == "^" else last):
            raise ValueError(f"has {char} in its middle")
        self.anchors += char
        return char

    def piece(self, depth: int) -> str:
        """One thing and how often it may come."""
        char = self.text[self.at]
        self.at += 1
        if char in "*+?{)":
            raise ValueError(f"has {char} where nothing stands before it")
        if char == "\\":
            made = self.escape(inside=False)
        elif char == "[":
            made = self.listed()
        elif char == "(":
            made = self.group(depth)
        else:
            made = _DOT if char == "." else self.literal(char)
        if quantifier := _QUANTIFIER.match(self.text, self.at):
            self.at = quantifier.end()
            made += quantifier[0]
        if self.text[self.at : self.at + 1] in ("*", "+", "?", "{"):
            raise ValueError("repeats a repetition")
        return made

    def group(self, depth: int) -> str:
        if self.text.startswith("?:", self.at):
            self.at += 2
        elif self.text.startswith("?", self.at):
            raise ValueError("has a group that begins with (?; only (?: has a counterpart")
        inner = "|".join("".join(pieces) for pieces in self.alternatives(depth + 1))
        self.at += 1
        return f"(?:{inner})"

    def escape(self, *, inside: bool) -> str:
        """What stands behind a backslash; inside of `[…]` without brackets of its own."""
        char = self.text[self.at : self.at + 1]
        self.at += 1
        if char in _CLASSES and char:
            if not inside:
                return f"[{'^' if char.isupper() else ''}{_CLASSES[char]}]"
            if char.islower():
                return _CLASSES[char]
        elif char and char.isascii() and not char.isalnum():
            return self.literal(char, inside=inside)
        raise ValueError(f"has \\{char}, which has no counterpart here")

    def literal(self, char: str, *, inside: bool = False) -> str:
        if self.fold and char.isascii() and char.isalpha():
            both = f"{char.lower()}{char.upper()}"
            return both if inside else f"[{both}]"
        return f"\\{char}" if char in r"\.+*?()|[]{}^$-" and (inside or char != "-") else char

    def listed(self) -> str:
        """The inside of `[…]`."""
        negated = self.text.startswith("^", self.at)
        self.at += negated
        items = ""
        while (char := self.text[self.at : self.at + 1]) != "]" or not items:
            self.at += 1
            if char in ("", "[", "&", "]"):
                raise ValueError("has a list in brackets that is nested, empty or never closed")
            if char == "-" and items and not self.text.startswith("]", self.at):
                raise ValueError("has a - inside of brackets that is neither first nor last")
            if char == "\\":
                items += self.escape(inside=True)
            elif _RANGE.match(self.text, self.at - 1):
                items += self.range()
            else:
                items += self.literal(char, inside=True)
        self.at += 1
        return f"[{'^' if negated else ''}{items}]"

    def range(self) -> str:
        low, high = self.text[self.at - 1], self.text[self.at + 1]
        self.at += 2
        of_kinds = (str.islower, str.isupper, str.isdigit)
        if low > high or not any(kind(low) and kind(high) for kind in of_kinds):
            raise ValueError(f"has the range {low}-{high}, which mixes kinds of characters")
        swapped = f"{low.swapcase()}-{high.swapcase()}" if self.fold and low.isalpha() else ""
        return f"{low}-{high}{swapped}"
