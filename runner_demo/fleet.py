"""The demo's fleet: each host a folder with a supervisord of its own, on loopback, no root.

A host's folder, as the inventory `demo` describes it to the roles:

- `supervisord.conf`, `supervisor.sock`
- `agent.py`: tells of the host at `/disk`, `/errors` and `/queue`
- `app/releases/v1.0.0/` with `app.py` and `release.json`, `app/releases/v1.1.0/` likewise
- `app/current`: a link to the release that is served
- `cache/`, `log/`: together at most `node.QUOTA` bytes
- `data/queue/`
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from runner.errors import RunnerError
from runner_demo import node

HOSTS = ("web1", "web2", "web3")
GOOD, BAD = "v1.0.0", "v1.1.0"
#: The next release renamed what its page looks up: a real bug, found by the first customer.
PRICES = {GOOD: {"book": 12.5}, BAD: {"books": 12.5}}

START_SECONDS = 20.0
STOP_SECONDS = 5.0
_LONGEST_SOCKET = 90  #: bytes; the system's limit is about 107, and supervisord adds a suffix
_PARENT_DEATH = 1  #: PR_SET_PDEATHSIG

_CONF = """\
[unix_http_server]
file={socket}
chmod=0600
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisord]
nodaemon=true
pidfile=%(here)s/supervisord.pid
logfile=%(here)s/log/supervisord.log
childlogdir=%(here)s/log
[supervisorctl]
serverurl=unix://{socket}
[program:app]
command={python} -I app.py app {port}
directory=%(here)s/app/current
; The runner's work is to bring it back; many a real service is given up on like this.
autorestart=false
; A service that dies in its first seconds would be started again all the same.
startsecs=0
stopwaitsecs=2
redirect_stderr=true
stdout_logfile=%(here)s/log/app.log
stdout_logfile_maxbytes=0
[program:agent]
command={python} -I agent.py agent {agent_port} {port}
directory=%(here)s
startsecs=0
stopwaitsecs=2
redirect_stderr=true
stdout_logfile=%(here)s/log/agent.log
stdout_logfile_maxbytes=0
"""


@dataclass(frozen=True, kw_only=True)
class Node:
    """One host of the fleet."""

    name: str
    folder: Path
    port: int  #: of the service
    agent_port: int
    socket: Path

    @property
    def url(self) -> str:
        """Of the service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def agent_url(self) -> str:
        """Of what tells of the host."""
        return f"http://127.0.0.1:{self.agent_port}"

    @property
    def release(self) -> str:
        """The release that is served."""
        return (self.folder / "app" / "current").readlink().name

    def serve(self, release: str) -> None:
        """Point the service at another release; it is served after a restart."""
        link = self.folder / "app" / "next"
        link.symlink_to(Path("releases") / release)
        link.replace(self.folder / "app" / "current")

    def pid(self) -> int:
        """Of the service's process. Raises RunnerError when there is none."""
        said = self.control("pid", "app")
        if not said.isdecimal() or int(said) == 0:  # 0 would be our own process group
            raise RunnerError(f"The service of {self.name} does not run: {said}")
        return int(said)

    def control(self, *command: str) -> str:
        """What supervisorctl says to `command`."""
        call = [program("supervisorctl"), "-c", str(self.folder / "supervisord.conf"), *command]
        done = subprocess.run(call, capture_output=True, text=True, timeout=30, check=False)
        return done.stdout.strip()


class Fleet:
    """Made by `start`, ended by `stop`; whoever starts it stops it."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        """`ports`: two for each of HOSTS."""
        pairs = zip(ports[::2], ports[1::2], strict=True)
        self._folder = folder
        self._sockets: Path | None = None
        self.nodes: dict[str, Node] = {}
        for name, (port, agent_port) in zip(HOSTS, pairs, strict=True):
            # Beside the host's other files, unless the system takes no path of that length.
            place = folder / name / "supervisor.sock"
            if len(os.fsencode(place)) > _LONGEST_SOCKET:
                self._sockets = self._sockets or Path(tempfile.mkdtemp(prefix="runner-demo-"))
                place = self._sockets / f"{name}.sock"
            self.nodes[name] = Node(
                name=name, folder=folder / name, port=port, agent_port=agent_port, socket=place
            )
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Make every host and return when each serves. Raises RunnerError when one does not."""
        for host in self.nodes.values():
            _make(host)
            # In a session of its own, so that Ctrl-C reaches it through us only.
            self._processes[host.name] = subprocess.Popen(
                [program("supervisord"), "-c", str(host.folder / "supervisord.conf")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=host.folder,
                start_new_session=True,
                # No other thread runs yet, so that this is safe; it ends a fleet whose demo was
                # killed.
                preexec_fn=die_with_parent if sys.platform == "linux" else None,
            )
        for host in self.nodes.values():
            until = time.monotonic() + START_SECONDS
            while not (_answers(f"{host.url}/health") and _answers(f"{host.agent_url}/disk")):
                self.check()
                if time.monotonic() > until:
                    log = host.folder / "log" / "app.log"
                    raise RunnerError(f"{host.name} did not start on port {host.port}; see {log}")
                time.sleep(0.05)

    def check(self) -> None:
        """Raise RunnerError when a supervisord has ended, which nobody asked it to."""
        for name, process in self._processes.items():
            if (status := process.poll()) is not None:
                log = self.nodes[name].folder / "log" / "supervisord.log"
                raise RunnerError(
                    f"The supervisord of {name} ended by itself with status {status}; see {log}"
                )

    def stop(self) -> None:
        """End every process of the fleet, whatever became of its supervisord."""
        for process in self._processes.values():
            process.kill()  # asked to end, it would look at its programs once a second
        for process in self._processes.values():
            process.wait(STOP_SECONDS)
        end_processes(self._folder)
        for host in self.nodes.values():
            host.socket.unlink(missing_ok=True)
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, none of them twice."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            one = stack.enter_context(socket.socket())
            one.bind(("127.0.0.1", 0))
            found.append(int(one.getsockname()[1]))
        return found


def end_processes(folder: Path) -> None:
    """Kill what still runs in a fleet's folder: left by a supervisord that was killed itself."""
    ours = psutil.Process().uids().real
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.uids().real != ours:
                continue
            words = process.cmdline()
            named = words[2:3] in (["app.py"], ["agent.py"])
            serves = named and Path(process.cwd()).is_relative_to(folder)
            supervises = words[-2:-1] == ["-c"] and Path(words[-1]).is_relative_to(folder)
            if serves or supervises:
                found.append(process)
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.kill()
            process.wait(STOP_SECONDS)


def _make(host: Node) -> None:
    for name in ("cache", "log", "data/queue"):
        (host.folder / name).mkdir(parents=True)
    for release, prices in PRICES.items():
        place = host.folder / "app" / "releases" / release
        place.mkdir(parents=True)
        shutil.copyfile(node.__file__, place / "app.py")
        (place / "release.json").write_text(json.dumps({"release": release, "prices": prices}))
    shutil.copyfile(node.__file__, host.folder / "agent.py")
    host.serve(GOOD)
    (host.folder / "supervisord.conf").write_text(
        _CONF.format(
            python=_escaped(shlex.quote(sys.executable)),
            port=host.port,
            agent_port=host.agent_port,
            socket=_escaped(str(host.socket)),
        )
    )


def _escaped(text: str) -> str:
    """As supervisord.conf wants a value: a percent sign would begin a name."""
    return text.replace("%", "%%")


def die_with_parent() -> None:
    """Between fork and exec: ask Linux to end the child with its parent."""
    ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGTERM)


def program(name: str) -> str:
    """The program beside our Python or in PATH. Raises RunnerError with what to install."""
    beside = os.path.dirname(sys.executable)
    found = shutil.which(name, path=beside) or shutil.which(name)
    if found is None:
        raise RunnerError(
            f"{name} is not installed; the demo needs it: pip install 'remediation-runner[demo]'"
        )
    return found


def _answers(url: str) -> bool:
    try:
        # Plain HTTP: the certificates of the world would be read for nothing.
        return httpx.get(url, timeout=1.0, trust_env=False, verify=False).status_code == 200
    except httpx.TransportError:
        return False
