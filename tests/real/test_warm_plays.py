"""Everything that Ansible says of a play is the same, be its process warm or cold."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from runner.execute.request import RunResult
from runner.execute.run import run
from runner.execute.warm.client import Warm
from tests.local_hosts import Lab, needs_ansible
from tests.warm_plays import FILES, PLAYS, REPRESENTATIVE
from tests.warm_process import is_warm, keeper

pytestmark = [*needs_ansible, pytest.mark.slow]

#: A callback of the test's own that writes down all that Ansible tells its callbacks.
WITNESS = """\
import json, os
from ansible.plugins.callback import CallbackBase


def plain(value):
    if isinstance(value, dict):
        return {str(key): plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def told(value):
    if hasattr(value, "_result"):
        fields = {key: each for key, each in value._task_fields.items() if key != "vars"}
        fields["tags"] = sorted(fields.get("tags") or ())
        return [value._host.get_name(), plain(value._result), plain(fields)]
    if hasattr(value, "get_name"):
        return value.get_name()
    if hasattr(value, "processed"):
        names = ("ok", "changed", "failures", "dark", "skipped", "rescued", "ignored", "custom")
        return {name: plain(getattr(value, name)) for name in names}
    return type(value).__name__


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "witness"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self):
        super().__init__()
        self.file = open(os.environ["WITNESS"] + "/" + os.environ["RUNNER_RUN_ID"], "a")

    def note(self, name, *arguments, **options):
        said = [name, *map(told, arguments), sorted(options)]
        self.file.write(json.dumps(said) + "\\n")
        self.file.flush()


def noting(name):
    return lambda self, *arguments, **options: self.note(name, *arguments, **options)


for name in dir(CallbackBase):
    if name.startswith("v2_") and name != "v2_on_any":
        setattr(CallbackModule, name, noting(name))
"""

#: What differs between two cold runs, too.
RANDOM = [
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00|Z)?"), "TIME"),
    (re.compile(r"\b\d:\d\d:\d\d\.\d+\b"), "DELTA"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"ansible-(?:local|tmp)-[\w.-]+(?:/tmp\w+)?"), "TEMPORARY"),
    (re.compile(r"\bj?\d{8,}\.\d+\b"), "JOB"),
    (re.compile(r"_payload_\w{8}"), "_payload"),
    (re.compile(r"(\"_original_basename\": )\"\.\w{8}\""), r"\1DRAFT"),
    (re.compile(r"runner-\w{8}\b"), "PRIVATE"),
    (re.compile(r"'/[^' ]*/[.\w-]*tmp\w{8}\w*'"), "DRAFT"),
    (re.compile(r"(pid|started_at|at|duration|n)\": ?[\d.\"TIME]+"), r"\1"),
]


@dataclass(frozen=True)
class Said:
    """All that is known of one run, without what is random."""

    told: list[str]  #: to callbacks
    events: list[str]  #: ansible-runner's, as they are kept, with what was shown
    facts: list[str]
    result: tuple[Any, ...]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("plays"))
    for name, text in FILES.items():
        (lab.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (lab.folder / name).write_text(text)
    for name in ("witness", "told", "out"):
        (lab.folder / name).mkdir()
    (lab.folder / "witness/witness.py").write_text(WITNESS)
    (lab.folder / "password").write_text("open sesame")
    for name, text in (("vault.yml", "hidden: 1\n"), ("group_vars/web1.yml", "secret: s\n")):
        lab.write(name, text)
        program = Path(sys.executable).with_name("ansible-vault")
        words = ("encrypt", "--vault-password-file", lab.folder / "password", lab.folder / name)
        subprocess.run([program, *map(str, words)], check=True, capture_output=True)
    (lab.folder / "host_vars").mkdir()
    (lab.folder / "group_vars/web1.yml").rename(lab.folder / "host_vars/web1.yml")
    return lab


@pytest.fixture(scope="module")
def warm(lab: Lab) -> Iterator[Warm]:
    with keeper(lab, **_given(lab)) as warm:
        yield warm


def _given(lab: Lab) -> dict[str, Any]:
    return {
        "vault_password_file": lab.folder / "password",
        "roles_path": (lab.folder / "roles",),
        "environment": {
            "ANSIBLE_CALLBACK_PLUGINS": str(lab.folder / "witness"),
            "ANSIBLE_COLLECTIONS_PATH": str(lab.folder / "collections"),
            "WITNESS": str(lab.folder / "told"),
        },
    }


def said(lab: Lab, name: str, warm: Warm | None) -> Said:
    """Play it and collect all that is said of it."""
    text, options = PLAYS[name]
    (lab.folder / "play.yml").write_text(text)
    values = {"variables": {}, **options}
    values["variables"] = {"place": str(lab.folder / "out"), **values["variables"]}
    for left in (lab.folder / "out").iterdir():
        left.unlink()
    request = lab.request(lab.folder / "play.yml", **_given(lab), **values)
    result = run(request, warm=warm)
    assert is_warm(result) is (warm is not None), name
    read = {
        each: _lines(result.artifacts / each, request.id)
        for each in ("events.jsonl", "facts.jsonl")
    }
    told = _lines(lab.folder / "told" / request.id, request.id)
    return Said(told, read["events.jsonl"], read["facts.jsonl"], _result(result))


def _lines(path: Path, run_id: str) -> list[str]:
    if not path.exists():
        return []
    return [_plain(line.replace(run_id, "RUN")) for line in path.read_text().splitlines()]


def _plain(text: str) -> str:
    for pattern, word in RANDOM:
        text = pattern.sub(word, text)
    return text


def _result(result: RunResult) -> tuple[Any, ...]:
    tasks = [(t.host, t.task, t.action, t.status, _plain(t.text)) for t in result.tasks]
    tasks.sort(key=lambda task: task[0] or "")  # in the order of each host
    loaded = {name: digest for name, digest in result.loaded.items() if "play.yml" not in name}
    stats = json.dumps(result.stats, sort_keys=True)
    return (result.outcome, _plain(result.reason), stats, dict(result.results), result.diff,
            result.fidelity, result.hosts_seen, loaded, result.included, tasks)  # fmt: skip


def differing(cold: list[str], warm: list[str]) -> list[tuple[str, str]]:
    """The first difference of each line, with what stands around it. Which of two hosts answers
    first is chance, in a cold run too: lines are compared in the order of each host."""
    found = []
    for one, other in zip_longest(_by_host(cold), _by_host(warm), fillvalue=""):
        if one != other:
            pairs = enumerate(zip_longest(one, other))
            at = next(at for at, (left, right) in pairs if left != right)
            found.append((one[max(0, at - 80) : at + 80], other[max(0, at - 80) : at + 80]))
    return found


def _by_host(lines: list[str]) -> list[str]:
    """In the order of the host that each names first; those that name none come first."""
    return sorted(lines, key=lambda line: "".join(re.findall(r"web\d", line)[:1]))


def _plays() -> list[Any]:
    nightly = pytest.mark.nightly
    return [pytest.param(n, marks=() if n in REPRESENTATIVE else nightly) for n in PLAYS]


@pytest.mark.parametrize("name", _plays())
def test_a_warm_run_says_what_a_cold_one_says(lab: Lab, warm: Warm, name: str) -> None:
    cold, hot = said(lab, name, None), said(lab, name, warm)
    assert cold.events
    for of_cold, of_warm in (
        (cold.told, hot.told),
        (cold.events, hot.events),
        (cold.facts, hot.facts),
    ):
        assert differing(of_cold, of_warm) == []
    assert hot.result == cold.result


def test_forty_plays_and_more_are_compared() -> None:
    assert len(PLAYS) >= 40
    assert set(PLAYS) >= REPRESENTATIVE
