"""The inventory script, as Ansible starts it: with a closed environment and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "inventories" / "example" / "greylist.py"
CONTENT = {
    "greylisted": {"hosts": ["db1"]},
    "_meta": {"hostvars": {"db1": {"runner_greylist_tier": "warning"}}},
}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    copy = tmp_path / "inventories" / "site" / "greylist.py"
    copy.parent.mkdir(parents=True)
    shutil.copy(SCRIPT, copy)
    (tmp_path / "var").mkdir()
    return copy


def ran(script: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    closed = {"PATH": os.defpath, **environment}
    return subprocess.run(
        [script, "--list"], env=closed, cwd="/", capture_output=True, text=True, check=False
    )


def test_it_may_be_started() -> None:
    assert os.access(SCRIPT, os.X_OK)


def test_without_a_file_nobody_is_greylisted(script: Path) -> None:
    assert json.loads(ran(script).stdout)["greylisted"] == {"hosts": []}


def test_it_gives_what_the_runner_wrote(script: Path, tmp_path: Path) -> None:
    (tmp_path / "var" / "greylist.json").write_text(json.dumps(CONTENT))
    assert json.loads(ran(script).stdout) == CONTENT


def test_another_file_may_be_named(script: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.json").write_text(json.dumps(CONTENT))
    done = ran(script, RUNNER_GREYLIST=str(tmp_path / "elsewhere.json"))
    assert json.loads(done.stdout) == CONTENT


@pytest.mark.parametrize("text", ["", "{", "[]", '{"greylisted": {}}', '{"greylisted": null}'])
def test_a_file_that_is_broken_is_an_error_and_not_an_empty_group(
    script: Path, tmp_path: Path, text: str
) -> None:
    """Invariant 10: what cannot be read does not say that every node is well."""
    (tmp_path / "var" / "greylist.json").write_text(text)
    done = ran(script)
    assert done.returncode == 1 and done.stdout == ""
    assert "the greylist cannot be read" in done.stderr and "Traceback" not in done.stderr
