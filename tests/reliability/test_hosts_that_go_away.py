"""SSH cut and a host that dies in the middle of a play, on a real sshd."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.daemon import Daemon
from runner.incident import Outcome, Purpose, State
from tests import small_project as small
from tests.acceptance.service_lab import soon
from tests.reliability.record import Injected
from tests.reliability.ssh_host import SshHost

pytestmark = [pytest.mark.real, pytest.mark.slow]

VERIFY = {"within": "1s", "hold": "0s", "checks": [{"result": {"marked": True}}]}
ENTRY = {
    "dry_run": "none",
    "verify": VERIFY,
    "limits": {"cooldown": "0s", "timeout": "90s", "max_runs": "100/1h"},
}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SshHost]:
    made = SshHost(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("cut", marks=pytest.mark.fault("ssh_cut")),
        pytest.param("die", marks=pytest.mark.fault("host_dies")),
    ],
)
def test_a_host_that_goes_away_is_not_called_fixed(
    tmp_path: Path, host: SshHost, how: str, fault: Injected
) -> None:
    """Invariant 9: in the middle of the play; nobody knows what became of it, so a person looks."""
    inventory = {"all": {"hosts": {"web1": host.variables()}}}
    config = small.make(tmp_path, entry=ENTRY, inventory=inventory, extra="sleep 20")
    project = small.project(config)
    daemon = Daemon(project)
    daemon.start()
    try:
        small.deliver(project, small.alert())
        soon(lambda: small.runs(tmp_path) == 1, "the play is in the middle", 120)
        getattr(host, how)()
        found = small.wait(project, seconds=180)
    finally:
        daemon.stop()
        project.close()
    (real,) = [run for run in found.runs if run.purpose is Purpose.REMEDIATION]
    fault.failure()
    fault.alerts(told=1, found=int(found.incident.state.ended))
    fault.ended(found.incident.state, broken=True)
    fault.runs(small.runs(tmp_path))
    fault.saw(f"outcome {real.outcome}")
    assert real.outcome in (Outcome.UNREACHABLE, Outcome.TIMEOUT), real.reason
    assert found.incident.state is State.ESCALATED


def test_the_host_is_taken_down_again(tmp_path: Path) -> None:
    made = SshHost(tmp_path)
    pids = made._pids()
    assert pids
    made.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIG_DFL)
