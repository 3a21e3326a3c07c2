"""The scenarios of every role that need no lab, with molecule, on this machine and without root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.role_code import ROLES

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
#: Those on hosts of the lab are played by tests/lab/test_molecule.py.
SCENARIOS = sorted(
    path for path in ROLES.glob("*/molecule/*/molecule.yml") if path.parent.name != "lab"
)
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

    result = molecule(scenario, scratch)

    assert result.returncode == 0, result.stdout[-8000:]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "without a lab, leave it out by molecule test --all --exclude lab"),
        (("--base-config", str(ROOT / ".config/molecule/lab.yml")), "No lab runs in"),
    ],
    ids=["local configuration", "no lab"],
)
def test_a_scenario_of_the_lab_says_that_there_is_none(
    scratch: Path, options: tuple[str, ...], sentence: str
) -> None:
    result = molecule(ROLES / "disk_space/molecule/lab/molecule.yml", scratch, *options)

    assert result.returncode != 0
    assert sentence in result.stdout
    assert "PLAY [Prepare]" not in result.stdout


def molecule(scenario: Path, scratch: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What came of a scenario."""
    environment = {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": os.environ["HOME"],
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "MOLECULE_COMMAND_BORDERS": "0",  # they would break long lines
        "MOLECULE_EPHEMERAL_DIRECTORY": str(scratch),
        "RUNNER_LAB_STATE": str(scratch / "lab"),
    }
    return subprocess.run(
        [BIN / "molecule", *options, "test", "--scenario-name", scenario.parent.name],
        cwd=scenario.parents[2],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
