"""The processor seconds that a run of tests names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.cpu_seconds import spent

ROOT = Path(__file__).parents[2]
BURNING = "sum(range(20_000_000))"
TESTS = f"""\
import subprocess, sys, time
import pytest

@pytest.fixture(scope="module")
def dear():
    subprocess.run([sys.executable, "-c", "{BURNING}"], check=True)

def test_waits(): time.sleep(0.1)
def test_has_it_computed(dear): pass
"""


def test_what_the_children_of_a_fixture_compute_is_its_files_and_waiting_is_nobodys(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_dear.py").write_text(TESTS)
    (tmp_path / "test_idle.py").write_text("import time\ndef test_waits(): time.sleep(0.5)\n")
    before = spent()
    subprocess.run([sys.executable, "-c", BURNING], check=True)
    alone = spent() - before
    options = ["-p", "tests.cpu_seconds", "--cpu-page", "page.json", "--rootdir=."]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--noconftest", "-c", os.devnull, *options],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    figures = json.loads((tmp_path / "page.json").read_text())
    assert list(figures) == ["test_dear.py", "test_idle.py"], "the dearest first"
    assert figures["test_dear.py"] > alone / 5 > 0
    assert figures["test_idle.py"] < figures["test_dear.py"]
    assert "processor seconds" not in done.stdout, "a short run says nothing"
