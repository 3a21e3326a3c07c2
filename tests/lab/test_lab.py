"""The lab itself: what it promises to those who use it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from runner.config import load
from runner.inventory import Inventory
from tests.acceptance.service_lab import soon
from tests.lab import cgroups, containers, layout, nspawn, project, shell
from tests.lab import lab as labs
from tests.lab.lab import Lab
from tests.lab.layout import Layout


def test_every_host_runs_its_units_and_no_unit_failed(lab: Lab) -> None:
    for host in lab.hosts:
        unit = "etcd" if layout.is_storage(host) else "app"
        assert lab.run(host, "systemctl", "is-active", unit).strip() == "active"
        assert lab.run(host, "systemctl", "--failed", "--no-legend") == ""


def test_a_host_sees_its_own_memory_and_not_the_machines(lab: Lab) -> None:
    first = lab.run("web1", "head", "-n", "1", "/proc/meminfo")
    assert first.split() == ["MemTotal:", str(384 * 1024), "kB"]


def test_ansible_reaches_every_host_by_ssh_and_checks_its_key(lab: Lab, tmp_path: Path) -> None:
    configuration = project.write(lab.layout, tmp_path)
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible"),
            ",".join(lab.hosts),
            "-i",
            "inventories/lab",
            "-m",
            "ansible.builtin.ping",
            "--one-line",
        ],
        cwd=configuration.parent,
        env={**os.environ, "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")},
        capture_output=True,
        text=True,
    )
    assert done.stdout.count("SUCCESS") == len(lab.hosts), done.stdout + done.stderr


def test_the_inventory_names_every_host_and_its_address(lab: Lab, tmp_path: Path) -> None:
    settings = load(project.write(lab.layout, tmp_path))
    inventory = Inventory.load(settings.project.inventory, environment=dict(os.environ))
    addresses = {
        name: host.variables["ansible_host"]
        for name, host in inventory.hosts.items()
        if "ansible_host" in host.variables
    }
    assert addresses == layout.ADDRESSES


def test_a_second_lab_in_the_same_folder_is_refused_with_a_sentence(lab: Lab) -> None:
    with pytest.raises(shell.LabError, match=r"runs in .* already"):
        Lab(lab.layout, ("web1",), print)


def test_what_a_killed_lab_left_is_removed_by_the_next_start(worker_id: str) -> None:
    at = layout.beside(f"{worker_id}-own")
    environment = {**os.environ, "RUNNER_LAB_STATE": str(at.state)}
    command = [sys.executable, "-m", "tests.lab"]
    with subprocess.Popen(
        [*command, "up", "--hosts", "web1"],
        cwd=layout.REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "Ctrl-C" in line)
        process.send_signal(signal.SIGKILL)
    assert len(shell.inhabitants(at.namespace)) >= 3
    done = subprocess.run(
        [*command, "down"], cwd=layout.REPOSITORY, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "removed\n", done.stderr
    assert left(at) == []


def test_ctrl_c_leaves_nothing(worker_id: str) -> None:
    at = layout.beside(f"{worker_id}-own")
    with subprocess.Popen(
        [sys.executable, "-m", "tests.lab", "up", "--hosts", "web1"],
        cwd=layout.REPOSITORY,
        env={**os.environ, "RUNNER_LAB_STATE": str(at.state)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if "Ctrl-C" in line)
        process.send_signal(signal.SIGINT)
    assert left(at) == []


@pytest.mark.parametrize("way", containers.WAYS)
def test_hosts_of_either_kind_keep_to_limits_and_are_gone_while_their_power_is_cut(
    way: str, worker_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if absent := shell.missing(containers.WAYS[way].PROGRAMS):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no {absent[0]} here")
    monkeypatch.setenv("RUNNER_LAB_CONTAINERS", way)
    at, traces = layout.beside(f"{worker_id}-own"), set(nspawn.TRACES.glob("*/*"))
    with labs.running(("web1",), at) as lab, shell.inside(at.namespace):
        eat = ("python3", "-c", "bytearray(64 << 20)")
        for unit, limit in (("glutton", "MemoryMax=16M"), ("guest", "MemoryMax=128M")):
            lab.run("web1", "systemd-run", "-p", limit, "--unit", unit, "--wait", *eat, check=False)
        failed = lab.run("web1", "systemctl", "--failed", "--plain", "--no-legend")
        assert [line.split()[0] for line in failed.splitlines()] == ["glutton.service"]
        lab.power_off("web1")
        soon(lambda: silent("web1"), "nobody answers for web1 any more")
        lab.power_on("web1")
        assert lab.run("web1", "systemctl", "is-active", "app").strip() == "active"
    assert left(at) == [] and set(nspawn.TRACES.glob("*/*")) <= traces


def test_a_kind_of_host_that_is_not_known_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNNER_LAB_CONTAINERS", "podman")
    with pytest.raises(shell.LabError, match="'podman'; it may be lxc or nspawn"):
        labs.lacking()


def silent(host: str) -> bool:
    """Whether not even a refusal comes back, as from a host without power."""
    try:
        socket.create_connection((layout.ADDRESSES[host], 22), timeout=1).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        return True
    return False


def left(at: Layout) -> list[str]:
    """Whatever of a lab is still there: namespaces, mounts, control groups, files, processes."""
    groups = list(map(str, cgroups.of_lab(at)))
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    mounts = [line for line in mounts if str(at.state) in line]
    files = [str(p) for p in (at.state, at.namespace) if p.exists()]
    return groups + mounts + files + list(map(str, living(at.id)))


def living(mark: str) -> list[str]:
    """Command lines of processes that name this lab."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{mark}-" in text:
            found.append(text)
    return found
