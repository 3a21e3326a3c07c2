"""The runner as somebody else installs it: the wheel alone in an empty environment, used by a
person without rights at a real terminal. Its dependencies are those of this environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import pexpect

from tests.printed import displayed

ROOT = Path(__file__).resolve().parents[1]
#: A person whom the system does not even know, as in a container.
UID = 54321
#: Packages whose programs are called by name.
_PROGRAMS = ("ansible-core", "supervisor")
_PROMPT = "ready> "
_SCRIPT = "#!{python}\nimport sys\nfrom {module} import {attr}\nsys.exit({attr}())\n"


class Installation:
    """A virtual environment below `folder` that holds the wheel, and nothing else of its own."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.home = folder / "home"
        self.programs = folder / "venv/bin"
        self._folder = folder
        self._built(folder / "dist")
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
        python = self.programs / "python"
        site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
        # Its own packages come first; files of theirs that change the path are not read.
        (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
        words = ["install", "--quiet", "--no-deps", "--no-index", "--no-warn-script-location"]
        wheel = next((folder / "dist").glob("*.whl"))
        command = [sys.executable, "-m", "pip", "--python", python, *words, wheel]
        subprocess.run(command, check=True, capture_output=True)
        for name in _PROGRAMS:
            self._write_programs(name, python)
        self.home.mkdir()
        if os.getuid() == 0:
            os.chown(self.home, UID, UID)

    def _apart(self) -> list[str]:
        """For whoever is root: ports of its own, as the tutorial names some, and Python with its
        packages where it was, but without the locked folders that it may lie in."""
        if os.getuid() != 0:
            return []
        kept = [Path(sys.base_prefix), Path(sysconfig.get_path("purelib"))]
        locked = {path: top for path in kept if (top := _locked_above(path)) is not None}
        shelf = {path: self._folder / f"shelf{number}" for number, path in enumerate(locked)}
        steps = [f"mkdir -p {to} && mount --bind {path} {to}" for path, to in shelf.items()]
        steps += [f"mount -t tmpfs -o mode=755 none {top}" for top in sorted(set(locked.values()))]
        steps += [f"mkdir -p {path} && mount --bind {to} {path}" for path, to in shelf.items()]
        script = " && ".join([*steps, "ip link set lo up", 'exec "$@"'])
        return ["unshare", "--mount", "--net", "sh", "-c", script, "sh"]

    def _built(self, to: Path) -> None:
        """The wheel, by the command of `make wheel`."""
        recipe = re.search(r"^wheel:.*\n\t(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert recipe is not None
        words = recipe[1].replace("$(BIN)/python", sys.executable).split()
        words[-1] = str(to)
        subprocess.run(words, cwd=ROOT, check=True, capture_output=True)

    def _write_programs(self, package: str, python: Path) -> None:
        for entry in distribution(package).entry_points.select(group="console_scripts"):
            text = _SCRIPT.format(python=python, module=entry.module, attr=entry.attr)
            path = self.programs / entry.name
            path.write_text(text)
            path.chmod(0o755)

    def terminal(self) -> Terminal:
        """A shell of that person, in a home of its own."""
        return Terminal(self._command(), self.home)

    def _command(self) -> list[str]:
        path = f"{self.programs}:/usr/local/bin:/usr/bin:/bin"
        # A machine without a user of that number, and nothing of our own environment.
        variables = [f"HOME={self.home}", f"PATH={path}", "LOGNAME=ann", "LANG=C.UTF-8"]
        command = [
            "env",
            "-i",
            *variables,
            "TERM=xterm",
            "NO_COLOR=1",
            f"PS1={_PROMPT}",
            "bash",
            "--norc",
            "--noediting",
        ]
        if os.getuid() != 0:
            return command
        person = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
        return [*self._apart(), *person, *command]


def _locked_above(path: Path) -> Path | None:
    """The outermost folder on the way to `path` that others cannot enter."""
    above = reversed([each.resolve() for each in path.resolve().parents])
    return next((each for each in above if not each.stat().st_mode & 0o001), None)


class Terminal:
    """A real terminal with a shell in it, whose commands are typed one after the other."""

    def __init__(self, command: list[str], home: Path) -> None:
        self.said = ""  #: all of it, for people who look why a test failed
        self._shell = pexpect.spawn(
            command[0], command[1:], cwd=str(home), dimensions=(60, 240), encoding="utf-8",
            timeout=240,
        )  # fmt: skip
        self._shell.setecho(False)
        self._shell.expect_exact(_PROMPT)

    def run(self, line: str, *, answers: dict[str, str] | None = None) -> tuple[int, str]:
        """(exit code, what was printed) of one line; `answers` to questions, typed as asked."""
        waited = [re.escape(_PROMPT), *(answers or {})]
        self._shell.sendline(line)
        output = ""
        while (found := self._shell.expect(waited)) != 0:
            answer = (answers or {})[waited[found]]
            output += f"{self._shell.before}{self._shell.after}{answer}\r\n"
            self._shell.sendline(answer)
        output += self._shell.before
        self._shell.sendline("echo code=$?")
        self._shell.expect(r"code=(\d+)\r")
        code = int(self._shell.match[1])
        self._shell.expect_exact(_PROMPT)
        output = displayed(output)
        self.said += f"$ {line}\n{output}"
        return code, output

    def until(self, line: str, holds: Callable[[str], bool], tries: int = 120) -> str:
        """What a line prints once that holds; it is typed again and again until then."""
        output = ""
        for _ in range(tries):
            _, output = self.run(line)
            if holds(output):
                return output
            self.run("sleep 1")
        raise AssertionError(f"{line} did not come to it: {self.said}")

    def close(self) -> None:
        """Log out; what runs in the background is told."""
        self._shell.sendline("kill $(jobs -p) 2>/dev/null; wait; exit")
        self._shell.expect(pexpect.EOF)
        self._shell.close()
