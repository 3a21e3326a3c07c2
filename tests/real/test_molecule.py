"""The scenarios of every role that need no lab, on this machine and without root."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenario import BIN, ROOT, every, name, play
from tests.scenario import environment as environment_of

#: Those on hosts of the lab are played by tests/lab/test_molecule.py.
SCENARIOS = [path for path in every() if path.parent.name != "lab"]
#: What is enough to show that molecule itself plays a scenario; all of them are nightly.
BY_MOLECULE = "disk_space-default"
#: What a role refuses on a real host, with nothing changed, is shown by tests/lab.
REFUSED_IN_LAB = {
    f"{role}-refuses"
    for role in (
        "acme_certificate", "certificate", "clock", "configuration_reload", "disk_space",
        "filesystem_extend", "filesystem_remount", "host_reboot", "idle_sessions", "inodes",
        "leaking_unit", "log_rotation", "package_repair", "release_rollback", "replication_slot",
        "resource_limit", "runaway_process", "service_restart", "service_scale",
    )
}  # fmt: skip
#: Played whole. A second run and check mode of all others are shown by molecule itself, in
#: `make nightly`, and check mode of some by test_rehearsal.py.
WHOLE = frozenset({"disk_space", "host_reboot", "service_restart"})
NEEDED = ("molecule", "supervisord", "supervisorctl", "ansible-playbook")
#: What the scenarios of some roles need besides.
PROGRAMS = {
    "etcd_member": ("etcd", "etcdctl"),
    "idle_sessions": ("psql", "postgres"),
    "package_repair": ("dpkg", "dpkg-query"),
    "replication_slot": ("psql", "postgres"),
}
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


@pytest.fixture(autouse=True)
def alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """A scenario names its ports, so nobody else plays it at the same time."""
    callspec = getattr(request.node, "callspec", None)
    if callspec is None or "scenario" not in callspec.params:
        yield
        return
    path = Path(tempfile.gettempdir()) / f"runner-{name(callspec.params['scenario'])}.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def skip_without_programs(scenario: Path) -> None:
    lacking = [p for p in PROGRAMS.get(scenario.parents[2].name, ()) if not shutil.which(p)]
    if lacking and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(lacking)}; make system installs them on Debian")


def test_every_role_has_a_scenario_that_heals_and_one_that_refuses() -> None:
    roles = {path.parents[2].name for path in SCENARIOS}
    assert roles and {f"{role}-default" for role in roles} | {
        f"{role}-refuses" for role in roles
    } == set(map(name, SCENARIOS))


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(path, marks=pytest.mark.nightly if name(path) in REFUSED_IN_LAB else ())
        for path in SCENARIOS
    ],
    ids=name,
)
def test_scenario_passes(scenario: Path, scratch: Path) -> None:
    skip_without_programs(scenario)

    whole = scenario.parents[2].name in WHOLE
    failure = play(scenario, scratch, without=() if whole else ("check", "idempotence"))

    assert not failure, failure[-8000:]


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(path, marks=() if name(path) == BY_MOLECULE else pytest.mark.nightly)
        for path in SCENARIOS
    ],
    ids=name,
)
def test_molecule_says_the_same(scenario: Path, scratch: Path) -> None:
    skip_without_programs(scenario)

    result = molecule(scenario, scratch)

    assert result.returncode == 0, result.stdout[-8000:]


def broken(scratch: Path, playbook: str, text: str) -> Path:
    """A scenario like that of a role, in which one playbook has another task."""
    role = scratch / "roles/broken"
    scenario = role / "molecule/default"
    scenario.mkdir(parents=True)
    for each in ("prepare", "converge", "verify"):
        task = (
            text if each == playbook else "ansible.builtin.command: 'true'\n      changed_when: no"
        )
        (scenario / f"{each}.yml").write_text(
            f"- hosts: all\n  gather_facts: false\n  tasks:\n    - {task}\n"
        )
    (scenario / "molecule.yml").write_text("---\n")
    return scenario / "molecule.yml"


@pytest.mark.parametrize(
    ("playbook", "task", "sentence"),
    [
        ("prepare", "ansible.builtin.fail:", "stopped at step 1 of"),
        ("converge", "ansible.builtin.command: 'true'", "The second run has changed something."),
        ("converge", "ansible.builtin.fail: {msg: '{{ absent }}'}", "stopped at step 2 of"),
        ("verify", "ansible.builtin.assert: {that: false}", "stopped at step 5 of"),
    ],
    ids=["prepare", "idempotence", "check", "verify"],
)
def test_a_scenario_that_fails_says_where(
    scratch: Path, playbook: str, task: str, sentence: str
) -> None:
    assert sentence in play(broken(scratch, playbook, task), scratch)


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
    (scenario,) = (path for path in every() if name(path) == "disk_space-lab")

    result = molecule(scenario, scratch, *options)

    assert result.returncode != 0
    assert sentence in result.stdout
    assert "PLAY [Prepare]" not in result.stdout


def molecule(scenario: Path, scratch: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What came of a scenario."""
    environment = environment_of(scenario, scratch)
    del environment["MOLECULE_PROJECT_DIRECTORY"]  # it says so itself
    environment["MOLECULE_COMMAND_BORDERS"] = "0"  # they would break long lines
    return subprocess.run(
        [BIN / "molecule", *options, "test", "--scenario-name", scenario.parent.name],
        cwd=scenario.parents[2],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
