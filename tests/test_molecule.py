"""Every scenario of every role, with molecule, on this machine and without root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
SCENARIOS = sorted((ROOT / "roles").glob("*/molecule/*/molecule.yml"))
NEEDED = ("molecule", "supervisord", "supervisorctl", "ansible-playbook")
#: What the scenarios of some roles need besides.
PROGRAMS = {"etcd_member": ("etcd", "etcdctl")}
MISSING = [name for name in NEEDED if shutil.which(name, path=str(BIN)) is None]

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING) and not os.environ.get("CI"),
        reason=f"not installed beside Python: {', '.join(MISSING)}",
    ),
]


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory with a short path, because a supervisord's socket lies in it."""
    path = Path(tempfile.mkdtemp(prefix="mol"))
    yield path
    config = path / "host/supervisord.conf"
    if config.exists():
        subprocess.run([BIN / "supervisorctl", "-c", config, "shutdown"], capture_output=True)
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.parametrize(
    "scenario", SCENARIOS, ids=lambda path: f"{path.parents[2].name}-{path.parent.name}"
)
def test_scenario_passes(scenario: Path, scratch: Path) -> None:
    lacking = [p for p in PROGRAMS.get(scenario.parents[2].name, ()) if not shutil.which(p)]
    if lacking and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(lacking)}; apt install etcd-server etcd-client")
    environment = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": os.environ["HOME"],
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(scratch),
    }

    result = subprocess.run(
        [BIN / "molecule", "test", "--scenario-name", scenario.parent.name],
        cwd=scenario.parents[2],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    assert result.returncode == 0, result.stdout[-8000:]
