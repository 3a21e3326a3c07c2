"""What the module refuses before it ends anything."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.role_code import module_of


@pytest.fixture
def burning() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def called(
    capsys: pytest.CaptureFixture[str], hot: list[dict[str, Any]], **given: Any
) -> dict[str, Any]:
    """What the module answers where `hot` is what burns, as long as it lives."""
    module = module_of("modules/runaway_process.py")
    module.watch = lambda _: [one for one in hot if module.alive(one)]
    arguments = {"share": 50, "window": 1, "grace": 1, "state": "ended", **given}
    with patch_module_args(arguments), pytest.raises(SystemExit):
        module.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def one(process: subprocess.Popen[bytes], kind: str = "runaway") -> dict[str, Any]:
    start = module_of("modules/runaway_process.py").stat(process.pid)[3]
    return {"pid": process.pid, "start": start, "name": "sleep", "unit": "app", "kind": kind}


def test_a_runaway_is_ended_and_looked_for_once_more(
    burning: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    found = called(capsys, [one(burning)], _ansible_check_mode=True)
    assert (found["changed"], found["ended"], burning.poll()) == (True, 0, None)
    shown = found["diff"]
    found = called(capsys, [one(burning)])
    assert burning.wait(5) != 0
    assert (found["ended"], found["diff"]) == (1, shown)


@pytest.mark.parametrize(
    ("kind", "most", "said"),
    [
        ("protected", 5, "is protected or belongs to its unit, and is not ended: sleep."),
        ("allowed", 5, "is protected or belongs to its unit"),
        ("runaway", 0, "1 processes are running away, more than 0; a person must look."),
    ],
)
def test_it_refuses_before_it_ends_anything(
    burning: subprocess.Popen[bytes],
    capsys: pytest.CaptureFixture[str],
    kind: str,
    most: int,
    said: str,
) -> None:
    for check in (True, False):
        hot = [one(burning, kind)]
        found = called(capsys, hot, max=most, _ansible_check_mode=check)
        assert found["failed"] and said in found["msg"] and burning.poll() is None


def test_nothing_burns_and_nothing_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    found = called(capsys, [])
    assert (found["changed"], found["ended"], found["left"]) == (False, 0, 0)


def test_a_pattern_that_is_none_is_one_sentence(
    burning: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    found = called(capsys, [one(burning)], protected=["sshd.*", "(x"])
    assert found["failed"] and burning.poll() is None
    assert found["msg"].startswith("protected has '(x', no regular expression: missing )")
