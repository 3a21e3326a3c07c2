"""The programs of the role `fault`, without a host: they leave alone what is not theirs."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.role_code import ROLES

SLEEP = [sys.executable, "-c", "import time; print(flush=True); time.sleep(600)"]


class Fault:
    """One program as a drill has it, beside programs that stand for those of a host."""

    def __init__(self, folder: Path, kind: str, **variables: object) -> None:
        self.folder, self.programs = folder, folder / "programs"
        self.path = folder / kind
        self.path.write_bytes((ROLES / "fault/files" / kind).read_bytes())
        self.path.chmod(0o700)
        self.programs.mkdir()
        given = {f"FAULT_{name.upper()}": str(value) for name, value in variables.items()}
        self.environment = {**os.environ, **given, "PATH": f"{self.programs}:{os.environ['PATH']}"}

    def program(self, name: str, script: str) -> None:
        path = self.programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.folder}/called\n{script}\n')
        path.chmod(0o700)

    @property
    def called(self) -> list[str]:
        path = self.folder / "called"
        return path.read_text().splitlines() if path.exists() else []

    def refused(self) -> str:
        """What `inject` says when it ends by itself, which a fault that is there does not."""
        done = subprocess.run(
            [self.path, "inject"], env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode
        return done.stderr

    def inject(self, there: Callable[[], object]) -> None:
        """Until it is there; then the drill's time is up."""
        with subprocess.Popen([self.path, "inject"], env=self.environment) as process:
            deadline = time.monotonic() + 60
            while not there() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            process.kill()
        assert there()

    def undo(self) -> None:
        subprocess.run([self.path, "undo"], env=self.environment, check=True, timeout=60)


@pytest.fixture
def process() -> Iterator[int]:
    """The main process of a unit."""
    with subprocess.Popen(SLEEP, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
        child.kill()


def open_files(folder: Path, process: int) -> Fault:
    fault = Fault(folder, "open_files", unit="app")
    fault.program("systemctl", f'[ "$1" = stop ] || echo {process}')
    return fault


def test_the_limit_of_open_files_is_what_it_was_also_after_somebody_has_raised_it(
    tmp_path: Path, process: int
) -> None:
    before = resource.prlimit(process, resource.RLIMIT_NOFILE)
    fault = open_files(tmp_path, process)
    fault.inject(lambda: resource.prlimit(process, resource.RLIMIT_NOFILE)[0] < before[0])
    used = len(os.listdir(f"/proc/{process}/fd"))
    assert resource.prlimit(process, resource.RLIMIT_NOFILE)[0] == used + 1
    resource.prlimit(process, resource.RLIMIT_NOFILE, (before[0] // 2, before[1]))
    fault.undo()
    assert resource.prlimit(process, resource.RLIMIT_NOFILE) == before
    # By the name that the module raised_limit gives its timer.
    assert fault.called[-1] == "systemctl stop runner-limit-open-files-app.timer"


def test_the_limits_of_another_process_with_the_same_number_are_left_alone(
    tmp_path: Path, process: int
) -> None:
    before = resource.prlimit(process, resource.RLIMIT_NOFILE)
    fault = open_files(tmp_path, process)
    noted = f'[{process}, "1", 5, {before[1]}]'
    (tmp_path / "open_files.before").write_text(noted)
    fault.undo()
    assert resource.prlimit(process, resource.RLIMIT_NOFILE) == before


def test_a_file_system_with_many_free_inodes_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "cache"
    assert "free inodes; at most 20000 are used up" in (
        Fault(tmp_path, "inodes_full", directory=target).refused()
    )
    assert not list(target.iterdir())


def test_only_files_of_the_drill_are_removed(tmp_path: Path) -> None:
    target = tmp_path / "cache"
    target.mkdir()
    for name in ("runner-drill-1.tmp", "session.tmp", "runner-drill-1.keep"):
        (target / name).touch()
    Fault(tmp_path, "inodes_full", directory=target).undo()
    assert {path.name for path in target.iterdir()} == {"session.tmp", "runner-drill-1.keep"}


def test_memory_that_is_not_there_is_not_taken(tmp_path: Path) -> None:
    fault = Fault(tmp_path, "leaking_unit", unit="app", memory_percent=100)
    assert "100 percent of the memory are not available" in fault.refused()
    fault.undo()  # there is nobody to end


def test_a_clock_is_never_set(tmp_path: Path) -> None:
    fault = Fault(tmp_path, "clock")
    fault.program("chronyc", "exit 0")
    fault.inject(lambda: len(fault.called) == 2)
    fault.undo()
    words = ["offline", "reset sources", "online", "burst 4/4"]
    assert fault.called == [f"chronyc {word}" for word in words]


def test_a_configuration_that_is_there_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "drill.conf"
    target.write_text("server {}\n")
    fault = Fault(tmp_path, "stale_configuration", configuration=target, configuration_unit="nginx")
    fault.program("systemctl", "exit 0")
    fault.refused()
    fault.undo()
    assert target.read_text() == "server {}\n" and fault.called == []


def test_a_configuration_of_the_drill_is_removed_and_the_service_told(tmp_path: Path) -> None:
    target = tmp_path / "drill.conf"
    fault = Fault(tmp_path, "stale_configuration", configuration=target, configuration_unit="nginx")
    fault.program("systemctl", "exit 0")
    fault.inject(lambda: target.exists() and target.read_text())
    assert target.read_text().startswith("#") and fault.called == []
    fault.undo()
    assert not target.exists() and fault.called == ["systemctl reload nginx"]
