"""The wheel works where nothing else of this repository is: as another user, in an empty place."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.installed import ROOT, Installation, Terminal
from tests.printed import commands, difference

pytestmark = [pytest.mark.real, pytest.mark.slow]
TUTORIAL = ROOT / "docs/tutorial.md"
_PART = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    folder = Path(tempfile.mkdtemp(prefix="runner-wheel-"))
    yield Installation(folder)
    shutil.rmtree(folder)


@pytest.fixture
def terminal(installation: Installation) -> Iterator[Terminal]:
    opened = installation.terminal()
    opened.run("cd && rm -rf * && cd $HOME")
    yield opened
    opened.close()


def test_every_line_of_the_tutorial_runs_as_it_is_printed(terminal: Terminal) -> None:
    """Commands, files, answers and what is printed are those of the page; what is waited for is
    its last output."""
    reader = Reader(terminal)
    text = TUTORIAL.read_text(encoding="utf-8")
    at = 0
    for part in _PART.finditer(text):
        reader.told(text[at : part.start()])
        reader.shown(part[1], part[2])
        at = part.end()
    ended = {number: reader.state(number) for number in (1, 2, 3, 4)}
    assert ended == {1: "observed", 2: "dry_run", 3: "fixed", 4: "fixed"}, terminal.said
    assert "Traceback" not in terminal.said
    assert [line for line in terminal.said.splitlines() if line.startswith("error ")] == []
    assert not reader.differences, "\n\n".join(reader.differences)


class Reader:
    """Does what a page says, as a person would who reads it at a terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._prose = ""
        self._states = ""
        #: Between the page and the terminal, each with its command.
        self.differences: list[str] = []

    def told(self, prose: str) -> None:
        """Follow what stands between two blocks."""
        self._prose = prose
        if match := re.search(r"[Ss]et `level: ([\w-]+)`", prose):
            self._run("kill %% 2>/dev/null; wait")  # it is started again with the new level
            self._run(f"sed -i 's/^level: .*/level: {match[1]}/' runner.yml")
        if match := re.search(r"write `cooldown: (\w+)` below `limits` in\s+`([^`]+)`", prose):
            self._run(f"sed -i 's/cooldown: [0-9a-z]*/cooldown: {match[1]}/' {match[2]}")
        if "start `runner serve`\nagain" in prose or "start `runner serve` again" in prose:
            self._serve("runner serve")
            self._run(f"sleep {10 if 'ten seconds' in prose else 0}")

    def shown(self, kind: str, text: str) -> None:
        """Do what a block shows."""
        if kind == "console":
            for line, printed in commands(text):
                if line.startswith("pip install"):
                    continue  # test_what_is_said_of_installing_works
                if found := difference(printed, self._typed(line)):
                    self.differences.append(f"$ {line}\n{found}")
            return
        if named := re.match(r"# (\S+)\n", text):
            path = named[1]
        else:
            found = re.findall(r"`([\w./-]+\.(?:conf|json))`", self._prose)
            path = found[-1]
        if path == "alert.json":
            text = re.sub(r'"startsAt": "[^"]+"', f'"startsAt": "{_now()}"', text)
        self._run(f"mkdir -p $(dirname {path})")
        code, _ = self._terminal.run(f"cat > {path} <<'END'\n{text}END")
        assert code == 0

    def state(self, number: int) -> str:
        """The state in which the page's last list of incidents shows one."""
        match = re.search(rf"^{number} +\S+ ago +(\w+)", self._states, re.MULTILINE)
        return match[1] if match else "missing"

    def _typed(self, line: str) -> str:
        """What it prints; where the page waits for something, once that is there."""
        if line == "runner serve":
            return self._serve(line)
        if line.startswith("runner approval approve"):
            code, said = self._terminal.run(line, answers={r"Approve this plan\? \[y/N\]: ": "y"})
            assert code == 0, said
            return said
        if (holds := _WAITED_FOR.get(line)) is None:
            return self._run(line)
        said = self._terminal.until(line, holds)
        if line == "runner incident list":
            self._states = said
        return said

    def _serve(self, line: str) -> str:
        """What it prints, once the last of it is there."""
        self._run(f"{line} > serve.log 2>&1 &")
        return self._terminal.until("cat serve.log", lambda said: "hosts" in said)

    def _run(self, line: str) -> str:
        code, said = self._terminal.run(line)
        assert code == 0 or line.startswith("kill"), f"{line}: {code}: {said}"
        return said


def _newest_is_over(said: str) -> bool:
    return re.search(r"^4 +\S+ ago +(fixed|escalated)", said, re.M) is not None


_WAITED_FOR: dict[str, Callable[[str], bool]] = {
    "supervisorctl -c service/supervisord.conf status": lambda said: "RUNNING" in said,
    "runner approval list": lambda said: "restart_service" in said,
    "runner incident show 3": lambda said: "\nfixed: " in said,
    "runner incident list": _newest_is_over,
}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def test_a_new_project_is_checked_and_the_demo_heals(terminal: Terminal) -> None:
    code, said = terminal.run("runner init ops && cd ops && runner check")
    assert code == 0, said  # 3 where something is an error
    code, said = terminal.run("cd && runner demo")
    assert code == 0, said
    for line in ("Alert ServiceDown", "Run: restart_service on web2", "Incident 1: fixed"):
        assert line in said
    assert "Traceback" not in said


@pytest.mark.nightly
def test_the_demo_of_storage_heals_too(terminal: Terminal) -> None:
    code, said = terminal.run("runner demo storage")
    assert code == 0, said


def test_what_is_said_of_installing_works() -> None:
    """There is no release in an index, so every line must work from a clone."""
    pages = ("README.md", "docs/tutorial.md", "docs/nodes.md", "docs/demo.md")
    said = [
        re.findall(r"^\$ pip (install .*)$", (ROOT / page).read_text(), re.MULTILINE)
        for page in pages
    ]
    assert all(said)
    for line in {line for lines in said for line in lines}:
        # Without an index, as a name that only an index knows could not be found.
        limits = "--dry-run --no-index --no-deps --no-build-isolation --quiet --report -"
        command = f"{sys.executable} -m pip {line} {limits}"
        done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert '"name": "remediation-runner"' in done.stdout
