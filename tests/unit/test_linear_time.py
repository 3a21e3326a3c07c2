"""Text from outside is matched in time linear in its length, everywhere (invariant 14).

Python's own engine backtracks: `/\\S*a` on 55,000 slashes held the whole process for minutes.
So what handles output of hosts, evidence and prompts uses RE2 and nothing else, and the
patterns of those that read names, labels and expressions are pumped here, which shows growth.
"""

from __future__ import annotations

import ast
import importlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.config import Injection
from runner.decide.injection import Detectors
from runner.decide.personal import hide_personal
from runner.evidence.mask import Mask
from runner.evidence.probe import distinct
from runner.execute import diff, events
from runner.execute.shown import MARK, OutputFilter

PACKAGE = Path(runner.__file__).parent
#: What reads what hosts, alerts and models wrote. No backtracking engine, whatever the pattern.
OUTSIDE = {
    "evidence/mask.py", "evidence/probe.py", "evidence/gather.py", "evidence/number.py",
    "execute/diff.py", "execute/events.py", "execute/result.py", "execute/live.py",
    "execute/shown.py", "execute/supervisor.py", "execute/outcome.py", "execute/rehearsal.py",
    "decide/injection.py", "decide/personal.py", "decide/prompt.py",
    "decide/answer.py", "decide/model.py", "ask/answer.py",
}  # fmt: skip
#: Only ever matched from the beginning of a text.
ANCHORED = {"runner.inventory.names._PORT", "runner.inventory.names._SCHEME"}


def engines(path: Path) -> set[str]:
    """The regular expression engines that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found & {"re", "regex", "re2"}


@pytest.mark.parametrize("name", sorted(OUTSIDE))
def test_what_reads_text_from_outside_uses_no_engine_that_backtracks(name: str) -> None:
    assert engines(PACKAGE / name) <= {"re2"}


def test_only_two_engines_are_used_at_all() -> None:
    assert {e for path in PACKAGE.rglob("*.py") for e in engines(path)} == {"re", "re2"}


#: What reads such text in short pieces (names, labels, expressions, durations) by Python's engine.
SHORT = [
    "runner.text.duration", "runner.evidence.lookback", "runner.intake.alertmanager",
    "runner.intake.payload", "runner.inventory.names", "runner.notify.inert",
    "runner.notify.message",
    "runner.notify.receiver", "runner.text.promql", "runner.store.memory", "runner.text",
    "runner.web.events",
]  # fmt: skip
#: Repeated, these make what backtracks do so; `!` is an end that does not match.
PIECES = [
    "a", "0", "_", "-", ".", "/", "\\", '"', "'", "`", " ", "\n", ":", ",", "=", "[", "]", "{", "$",
    "#", "<", "@", "a ", "a.", "0,", "0 ", "[a", "[a]", '"a', "\\a", "a=", '="', "offset ", "](", "://",
    "${a", "1h", "0/",
]  # fmt: skip


def seconds(act: Callable[[str], Any], text: str) -> float:
    began = time.process_time()
    act(text)
    return time.process_time() - began


def grows(act: Callable[[str], Any], make: Callable[[int], str], size: int = 1_000) -> bool:
    """Whether eight times the text takes far more than eight times as long, each time we look.

    What takes less than a hundredth of a second even then is not looked at further.
    """
    for _ in range(3):
        more = seconds(act, make(8 * size))
        if more < 0.01 or more < 24 * seconds(act, make(size)):
            return False
    return True


def patterns() -> dict[str, re.Pattern[Any]]:
    """Every pattern that these modules have compiled, by module and name."""
    return {
        f"{module}.{name}": value
        for module in SHORT
        for name, value in vars(importlib.import_module(module)).items()
        if isinstance(value, re.Pattern)
    }


@pytest.mark.parametrize("name", sorted(patterns()))
def test_no_pattern_on_short_texts_takes_more_than_linear_time(name: str) -> None:
    pattern = patterns()[name]
    binary = isinstance(pattern.pattern, bytes)
    for piece in PIECES:
        for end in ("", "!"):

            def make(size: int, piece: str = piece, end: str = end) -> Any:
                text = piece * (size // len(piece)) + end
                return text.encode() if binary else text

            act = pattern.match if name in ANCHORED else pattern.search
            assert not grows(act, make), f"{name} on {piece!r} repeated"


#: What a host can print to hold up whoever reads it.
TEXTS: dict[str, Callable[[int], str]] = {
    "slashes": lambda size: "/" * size,
    "base64": lambda size: "QUJDRA==" * (size // 8),
    "minified JSON": lambda size: '{"u":"https://a.example/b/c"},' * (size // 30),
    "spaces": lambda size: " " * size,
    "open quotes": lambda size: 'password="' * (size // 10),
    "tokens": lambda size: "token=a " * (size // 8),
    "marks": lambda size: MARK * (size // 3),
    "addresses": lambda size: "a.b@" * (size // 4),
    "digits": lambda size: "4111 " * (size // 5),
    "telephones": lambda size: "+1 2" * (size // 4),
    "short lines": lambda size: "a\nb\n" * (size // 4),
    "keys": lambda size: "-----BEGIN RSA PRIVATE KEY-----\n" * (size // 32),
}
READERS: dict[str, Callable[[str], Any]] = {
    "hash of a diff": diff.hash_of,
    "diff": lambda text: diff.unified({"before": text, "after": text[::-1]}),
    "diffs compared": lambda text: diff.differing(f"# a · b\n{text}", text),
    "bounded": lambda text: events.bounded(text, 60_000),
    "event": lambda text: events.compact(
        {"event": "runner_on_ok", "stdout": text, "event_data": {"res": {"msg": text}}}
    ),
    "mask": Mask(),
    "personal data": hide_personal,
    "injection": Detectors(Injection()).suspected,
    "log": lambda text: distinct(text.splitlines()),
    "terminal": lambda text: [
        OutputFilter()(text[n : n + 1000]) for n in range(0, len(text), 1000)
    ],
}


@pytest.mark.parametrize("reader", READERS)
def test_what_reads_text_of_hosts_takes_linear_time(reader: str) -> None:
    """Invariant 14: eight times as much text takes about eight times as long."""
    slow = [name for name, make in TEXTS.items() if grows(READERS[reader], make, size=7_000)]
    assert slow == []


def test_a_line_of_slashes_and_minified_json_take_no_time() -> None:
    """Invariant 14: what held the whole process for minutes."""
    began = time.process_time()
    diff.hash_of("/" * 55_000)
    events.bounded('{"u":"' + '","u":"https://a.example/b/c/d' * 10_000 + '"}', 60_000)
    assert time.process_time() - began < 5
