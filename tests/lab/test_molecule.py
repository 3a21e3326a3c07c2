"""The scenario `lab` of every role, on a lab of its own that no runner heals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests import role_code
from tests.lab import lab as labs
from tests.lab import layout, watch
from tests.lab.layout import Layout

ROLES = sorted(path.parent for path in role_code.ROLES.glob("*/molecule"))
#: What is enough to show that a scenario plays on hosts; what its role does is shown by
#: tests/real/test_molecule.py on this machine, by test_remediations.py on hosts. All are nightly.
ONE = "service_restart"
BIN = Path(sys.executable).parent
#: What a scenario on a storage node needs: one spare is enough for the cluster.
STORAGE = (*layout.MEMBERS, layout.SPARES[0])

Done = subprocess.CompletedProcess[str]


def host_of(role: Path) -> str:
    """The host that the scenario of a role breaks."""
    plays = yaml.safe_load((role / "molecule/lab/converge.yml").read_text())
    return str(plays[0]["hosts"])


def molecule(at: Layout, role: Path, folder: Path) -> Done:
    """What came of the scenario `lab` of a role, in the control namespace."""
    environment = {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "RUNNER_LAB_STATE": str(at.state),
        "MOLECULE_EPHEMERAL_DIRECTORY": str(folder),
    }
    base = layout.REPOSITORY / ".config/molecule/lab.yml"
    words = (BIN / "molecule", "--base-config", base, "test", "--scenario-name", "lab")
    return subprocess.run(
        ["nsenter", f"--net={at.namespace}", *words],
        cwd=role,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1200,
    )


@pytest.fixture(scope="module")
def scenarios(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Done]]]:
    """The scenarios of the chosen roles, one at a time on each host: much of it is waiting."""
    chosen = [item.callspec.params["role"] for item in request.session.items
              if isinstance(item, pytest.Function) and item.path == request.path]  # fmt: skip
    at, broken = layout.beside("molecule"), set(map(host_of, chosen))
    hosts = {host for host in broken if host not in STORAGE}
    hosts |= set(STORAGE) if broken & set(STORAGE) else set()
    tmp_path_factory.getbasetemp()  # made here, or two lanes make one each

    def play(role: Path) -> Done:
        return molecule(at, role, tmp_path_factory.mktemp(role.name))

    with labs.running(sorted(hosts), at), ExitStack() as stack:
        watch.watch(at, [])  # nobody asks Prometheus here, so it need not ask the hosts
        lanes = {host: ThreadPoolExecutor(1) for host in broken}
        for lane in lanes.values():
            stack.callback(lane.shutdown, cancel_futures=True)
        yield {role.name: lanes[host_of(role)].submit(play, role) for role in chosen}


@pytest.mark.parametrize(
    "role",
    [
        pytest.param(role, marks=() if role.name == ONE else pytest.mark.nightly, id=role.name)
        for role in ROLES
    ],
)
def test_the_role_heals_a_real_host_and_refuses_what_is_not_its(
    scenarios: dict[str, Future[Done]], role: Path
) -> None:
    done = scenarios[role.name].result()
    assert done.returncode == 0, done.stdout[-8000:]
