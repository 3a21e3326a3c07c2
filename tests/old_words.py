"""Words that help, messages, pages and documentation no longer use, each with what is said instead.

One list: the test reads it, and so does whoever writes a sentence. Whole words, in any case.
Names in backquotes are code and are left alone, as are older keys that are still accepted.
"""

from __future__ import annotations

INSTEAD: dict[str, str] = {
    r"rehears\w*": "dry run",
    r"told by": "received from",
    r"audit trail": "audit log",
    r"the trail": "the audit log",
    r"approval pack": "approval request",
    r"same rails": "the usual policy, dry run and approval",
    r"fits by": "matches by",
    r"entry fits": "entry matches",
    r"may fit": "may match",
    r"is settled": "is acknowledged",
    r"not settled": "not acknowledged",
    r"settled by": "acknowledged by",
    r"mends?|mended": "fix",
    r"deeds?": "change, action",
    r"how far it may go": "limit, level",
    r"how far to go": "limit, level",
    r"holds? the level down": "limiting rule",
    r"what became of it": "how it ended",
    r"down, deaf or stuck": "is down, receives no alerts, or makes no progress",
    r"is refused here": "is rejected",
    r"nobody works on incidents": "no worker is running",
    r"would have cleared anyway": "baseline",
    r"came to": "result",
}
