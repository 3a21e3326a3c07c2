"""Templates, and how values look in them. All text from outside is escaped and made visible."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from runner.incident import Transition
from runner.incident_report import to_json
from runner.incident_report.approval_request import Pack, fidelity_words, kind_words, radius_words
from runner.text import cut, duration, visible

MAX_SHOWN = 100_000  #: characters of one text on a page
MAX_LINES = 2_000  #: of one diff

#: How a state looks: at work, in need of a person, good, bad, or over without an effect.
TONES = {
    "waiting": "ask",
    "held": "ask",
    "held_again": "ask",
    "waits": "ask",
    "closed": "quiet",
    "fixed": "good",
    "resolved": "good",
    "changed": "good",
    "no_change": "good",
    "approved": "good",
    "escalated": "bad",
    "failed": "bad",
    "unreachable": "bad",
    "timeout": "bad",
    "not_fixed": "bad",
    "denied": "bad",
    "unknown": "ask",
    "tolerated_failure": "ask",
    "all_skipped": "ask",
    "no_hosts": "bad",
    "expired": "ask",
    "suppressed": "quiet",
    "observed": "quiet",
    "dry_run": "quiet",
    "cancelled": "quiet",
}


@dataclass(frozen=True, kw_only=True)
class TimelineRow:
    """One transition and how long after the one before it came."""

    transition: Transition
    after: timedelta | None


def timeline(transitions: Sequence[Transition]) -> list[TimelineRow]:
    """The transitions, each with the time since the one before."""
    before: datetime | None = None
    steps = []
    for item in transitions:
        steps.append(TimelineRow(transition=item, after=item.at - before if before else None))
        before = item.at
    return steps


def tone(state: object) -> str:
    """The class of a state, an outcome or a result."""
    return TONES.get(str(state), "busy")


def brief_duration(length: timedelta) -> str:
    """`length` as people say it: two units at most."""
    seconds = max(0.0, length.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 10:
        return f"{seconds:.1f}s"
    step = 1 if seconds < 3600 else 60 if seconds < 172_800 else 3600
    return duration.write(timedelta(seconds=round(seconds / step) * step))


def ago(at: datetime, now: datetime | None = None) -> str:
    """How long ago `at` was, to the second."""
    passed = (now or datetime.now(UTC)) - at
    seconds = max(0, int(passed.total_seconds()))
    return brief_duration(passed) if seconds >= 10 else f"{seconds}s"


def stamp(at: datetime) -> str:
    """`at` for people: UTC to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def block(text: str) -> Markup:
    """A text of several lines, for a `pre`."""
    return escape(visible(cut(text, MAX_SHOWN), lines=True))


def diff_lines(text: str) -> Iterator[tuple[str, str]]:
    """(class, line) of each line of a diff; the last says how many are left out."""
    lines = text.splitlines()
    for line in lines[:MAX_LINES]:
        hunk = line.startswith(("---", "+++", "@@"))
        kind = "hunk" if hunk else {"+": "added", "-": "removed"}.get(line[:1], "same")
        yield kind, cut(line, 2000)
    if len(lines) > MAX_LINES:
        yield "hunk", f"… {len(lines) - MAX_LINES} more lines"


def web_link(text: str) -> str | None:
    """`text` when it is a web address that a page may link to, else None."""
    if not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme in ("http", "https") and parts.hostname else None


def pretty(value: Any) -> str:
    """Any value as readable JSON."""
    return json.dumps(to_json(value), indent=2, ensure_ascii=False, default=str)


def compact(value: Any) -> str:
    """Any value as JSON in one line."""
    return json.dumps(to_json(value), ensure_ascii=False, default=str)


def pairs(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    """Labels in order, the name of the alert first."""
    return sorted(labels.items(), key=lambda item: (item[0] != "alertname", item[0]))


def percent(share: float) -> str:
    """0 to 1 as a whole percentage."""
    return f"{share:.0%}"


def _shown(value: object) -> object:
    """Every expression of a template passes here, so no text can be forgotten."""
    return (
        visible(str(value)) if isinstance(value, str) and not isinstance(value, Markup) else value
    )


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {
    "ago": ago,
    "block": block,
    "brief_duration": brief_duration,
    "compact": compact,
    "diff_lines": diff_lines,
    "fidelity_words": fidelity_words,
    "kind_words": kind_words,
    "pairs": pairs,
    "percent": percent,
    "radius_words": radius_words,
    "pretty": pretty,
    "stamp": stamp,
    "tone": tone,
    "web_link": web_link,
}


def render(template: str, **values: Any) -> str:
    """The page that this template makes of the values."""
    return _templates.get_template(template).render(values)


def pack_file(pack: Pack, environment: str) -> str:
    """The pack as one HTML file: no script, nothing fetched, every outside text escaped.

    Its own policy lets a browser use this very style and nothing else, so that even a text
    that found a way in would stay a text.
    """
    style = (Path(__file__).parent / "static" / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return render(
        "pack_file.html",
        pack=pack,
        environment=environment,
        style=Markup(style),  # our own file: no text from outside
        policy=Markup(f"default-src 'none'; style-src 'sha256-{digest}'"),
        written=datetime.now(UTC),
    )
