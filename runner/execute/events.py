"""ansible-runner's events, cut to what is kept: one bounded JSON line each.

The supervisor writes the lines while the run goes on; the runner reads them,
live and afterwards. A line holds: n, at, event, host, task, uuid, action,
duration (seconds), ignored, res, stdout; stats and results in the last one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import re2

from runner.execute.diff import NOTHING, Own, bounded, hash_of, unified
from runner.text import storable

Event = dict[str, Any]

MAX_TEXT = 4_000  # characters of one text of a result
#: Characters of one result's diff. Below what masking keeps of a text, so that the note of
#: what is missing is never cut off itself.
MAX_DIFF = 60_000
MAX_ITEMS = 200  # items of a loop
MAX_ALL_ITEMS = 200_000  # characters of all texts of the items of a loop
MAX_RESULTS = 64_000  # characters of what a play reports
MAX_LOG = 16_000_000  # bytes of one run's log; statuses are still kept above it

_KEPT = ("changed", "failed", "unreachable", "rc", "msg", "stdout", "stderr", "censored")
#: How Python says that a process had reached its limit of memory, and what is said of it.
_OUT_OF_MEMORY = "MemoryError"
_SHORT_OF_MEMORY = (
    "it needed more memory than execution.memory_mb allows, for instance because of what a task "
    "printed."
)
_STATS = ("ok", "changed", "failures", "dark", "skipped", "ignored", "rescued")
#: Modules that change nothing on any host: they neither count as done nor as shown.
NO_EFFECT = frozenset(
    "assert debug fail set_fact set_stats meta setup gather_facts validate_argument_spec "
    "include_tasks import_tasks include_role import_role include_vars pause group_by add_host "
    "wait_for wait_for_connection".split()
)
_DELEGATED = re2.compile(r"(?m)^\w+: \[\S+ -> ([^\]\s(]+)")


def compact(raw: Mapping[str, Any], own: Own = NOTHING) -> Event:
    """The line for one raw event of ansible-runner; its diffs without what is the run's `own`."""
    data = raw.get("event_data") or {}
    role, task = data.get("role"), data.get("task")
    event: Event = {
        "n": raw.get("counter"),
        "at": raw.get("created"),
        "event": raw.get("event"),
        "host": data.get("host"),
        "task": f"{role} : {task}" if role and task else task,
        "uuid": data.get("task_uuid"),
        "action": data.get("resolved_action") or data.get("task_action"),
        "duration": data.get("duration"),
        "ignored": bool(data.get("ignore_errors")),
        "stdout": cut(str(raw.get("stdout") or ""), MAX_TEXT),
    }
    if isinstance(data.get("res"), dict):
        event["res"] = _result(data["res"], own) or {  # ansible-runner empties what is too large
            "lost": True,
            "changed": event["stdout"].lstrip().startswith("changed:"),
            "msg": "(the result was too large to keep)",
        }
    if raw.get("event") == "playbook_on_stats":
        hosts = set(data.get("processed") or ()) | set(data.get("dark") or ())
        event |= {
            "stats": {
                host: {name: int((data.get(name) or {}).get(host, 0)) for name in _STATS}
                for host in sorted(hosts)
            },
            "results": _results(data.get("artifact_data")),
        }
    return {key: value for key, value in event.items() if value not in (None, "", False)}


def skeleton(event: Event) -> Event:
    """The same without its texts, for a log that is full."""
    result = event.get("res") or {}
    small = {key: value for key, value in result.items() if isinstance(value, bool)}
    return {k: v for k, v in event.items() if k not in ("stdout", "res")} | {"res": small}


def read_lines(path: Path, *, most: int | None = None) -> Iterator[dict[str, Any]]:
    """Each whole JSON line of `path`; a torn last line and a missing file give nothing.

    `most` is how many bytes are read at most; the line that reaches it is the last.
    """
    try:
        file = path.open("rb")
    except OSError:
        return
    with file:
        read = 0
        for line in file:
            read += len(line)
            if most is not None and read > most:
                return
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                yield value


def has_effect(action: str) -> bool:
    """Whether a module can change something on a host."""
    return action.rpartition(".")[2] not in NO_EFFECT


def delegate_shown(event: Event) -> str | None:
    """The delegated host that the event's own display names, `no_log` or not."""
    match = _DELEGATED.search(storable(event.get("stdout", "")))
    return match[1] if match else None


def cut(text: str, most: int) -> str:
    """`text`, or its beginning with a note that tells its full length and hash."""
    if len(text) <= most:
        return text
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()
    return f"{text[:most]}\n[cut: {len(text)} characters in all, sha256 {digest}]"


def _result(result: Mapping[str, Any], own: Own) -> dict[str, Any]:
    kept = {key: result[key] for key in _KEPT if key in result}
    for key, value in kept.items():
        if value is not None and not isinstance(value, bool | int | float):
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            kept[key] = cut(text, MAX_TEXT)
    if _OUT_OF_MEMORY in str(result.get("exception", ""))[-MAX_TEXT:]:
        kept["msg"] = f"{_SHORT_OF_MEMORY} {kept.get('msg') or ''}".rstrip()
    if result.get("diff"):
        kept["diff"] = bounded(own.leave_out(unified(result["diff"])), MAX_DIFF)
    if not isinstance(result.get("results"), list):
        return kept
    # The first items, as many as their number and the length of all of them allow. Where the
    # others would change something, one more notes what.
    items = [item for item in result["results"] if isinstance(item, dict)]
    kept["items"], left = [], MAX_ALL_ITEMS
    for item in items[:MAX_ITEMS]:
        small = _result(item, own)
        left -= sum(len(text) for text in small.values() if isinstance(text, str))
        if left < 0 and kept["items"]:
            break
        kept["items"].append(small)
    more = items[len(kept["items"]) :]
    kept["more_items"] = len(more)
    diff = "\n".join(filter(None, (own.leave_out(unified(one.get("diff") or [])) for one in more)))
    if diff or any(one.get("changed") for one in more):
        note = f"[{len(more)} more items; their diff has sha256 {hash_of(diff)}]"
        kept["items"].append({"changed": True, "diff": note})
    return kept


def _results(artifact: Any) -> dict[str, Any]:
    """Reported by the play with `set_stats` under `remediation:`, within MAX_RESULTS.

    A log that is too long loses its beginning; anything else that does not fit is left out, and
    that is said in its place.
    """
    reported = artifact.get("remediation") if isinstance(artifact, dict) else None
    if not isinstance(reported, dict):
        return {}
    kept: dict[str, Any] = {}
    left = MAX_RESULTS
    for name, value in sorted(reported.items(), key=lambda pair: pair[0] == "logs"):
        size = len(json.dumps(value, default=str))
        if size > left:
            if name == "logs":
                lines = (
                    list(map(str, value)) if isinstance(value, list) else str(value).splitlines()
                )
                sizes = accumulate(len(json.dumps(line)) + 2 for line in reversed(lines))
                value = lines[len(lines) - sum(size <= left // 2 for size in sizes) :]
            else:
                value = f"(left out: {size} characters)"
            size = len(json.dumps(value, default=str))
        if size <= left:
            kept[str(name)] = value
            left -= size
    return kept
