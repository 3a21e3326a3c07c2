"""How far back a PromQL expression looks: pure reading of its text."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from runner.text import duration

#: No expression is taken to look back further; it also keeps sums within timedelta.
LONGEST = timedelta(days=366)
_TEXT = 64 * 1024
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"' r"|'(?:\\.|[^'\\])*'" r"|`[^`]*`|#[^\n]*")
_RANGE = re.compile(r"\[([^\[\]:]{1,60})(:?)[^\[\]:]{0,60}\]")
_OFFSET = re.compile(r"\boffset\s+([0-9a-z]{1,60})", re.IGNORECASE)


def lookback(expr: str) -> timedelta:
    """The longest range in `expr`, with the subqueries around it and its offset.

    Zero for an expression without ranges, or one that cannot be read.
    """
    bare = _QUOTED.sub('""', expr[:_TEXT])
    ranges = [(_seconds(text), bool(colon)) for text, colon in _RANGE.findall(bare)]
    plain = max((seconds for seconds, subquery in ranges if not subquery), default=0.0)
    around = sum(seconds for seconds, subquery in ranges if subquery)
    offset = max((_seconds(text) for text in _OFFSET.findall(bare)), default=0.0)
    return min(timedelta(seconds=min(plain + around + offset, 1e9)), LONGEST)


def _seconds(text: str) -> float:
    try:
        return duration.parse(text).total_seconds()
    except ValueError:
        return 0.0


def expr_of(generator_url: str) -> str | None:
    """The expression in a generatorURL (`g0.expr`), or None.

    It comes from outside with the alert: good to be shown and measured, never to be run.
    """
    try:
        query = parse_qs(urlsplit(generator_url[:_TEXT]).query, max_num_fields=50)
    except ValueError:
        return None
    return next(iter(query.get("g0.expr", ())), None)
