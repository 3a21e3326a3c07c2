"""A small etcd cluster on loopback, without root: one supervisord, a program for each node.

A node's folder has `etcd.env`, which the program reads as a service does, and `data/`.
Spares have neither until a playbook brings them in.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from runner.errors import RunnerError
from runner_demo.fleet import die_with_parent, free_ports, program

VOTERS = ("s1", "s2", "s3")
SPARES = ("s4", "s5")
START_SECONDS = 60.0

_CONF = """\
[unix_http_server]
file={socket}
chmod=0600
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisord]
nodaemon=true
pidfile={root}/supervisord.pid
logfile={root}/supervisord.log
childlogdir={root}
[supervisorctl]
serverurl=unix://{socket}
"""
_PROGRAM = """\
[program:{name}]
command=/bin/sh -c 'set -a; . ./etcd.env; exec {etcd}'
directory={folder}
autostart={autostart}
; Bringing it back is not what is shown here: a node that is gone stays gone.
autorestart=false
startsecs=0
stopwaitsecs=10
redirect_stderr=true
stdout_logfile={folder}/etcd.log
stdout_logfile_maxbytes=0
"""


@dataclass(frozen=True, kw_only=True)
class StorageNode:
    """One node, or a spare."""

    name: str
    folder: Path
    client_url: str
    peer_url: str

    def healthy(self) -> bool:
        """Whether it can commit now, as it says itself."""
        try:
            said = httpx.get(f"{self.client_url}/health", timeout=2.0, trust_env=False)
            return bool(said.json().get("health") == "true")
        except (httpx.HTTPError, ValueError):
            return False

    def leads(self) -> bool:
        """Whether it leads its cluster, as it says itself."""
        said = self._status()
        return "leader" in said and bool(said["leader"] == said["header"]["member_id"])

    def size(self) -> int:
        """The bytes of its database file. Raises KeyError when it does not answer."""
        return int(self._status()["dbSize"])

    def _status(self) -> dict[str, Any]:
        """What it says of itself; empty when it does not answer."""
        url = f"{self.client_url}/v3/maintenance/status"
        try:
            said = httpx.post(url, json={}, timeout=2.0, trust_env=False).raise_for_status()
            return dict(said.json())
        except (httpx.HTTPError, ValueError):
            return {}

    def members(self) -> dict[str, str]:
        """Name → voter or learner; a new one is called by its id.  Raises httpx.HTTPError."""
        said = httpx.post(
            f"{self.client_url}/v3/cluster/member/list", json={}, timeout=5, trust_env=False
        ).raise_for_status()
        return {
            member.get("name") or member["ID"]: "learner" if member.get("isLearner") else "voter"
            for member in said.json()["members"]
        }


class Cluster:
    """Made by `start`, ended by `stop`; whoever starts it stops it."""

    def __init__(
        self,
        folder: Path,
        voters: Sequence[str] = VOTERS,
        spares: Sequence[str] = SPARES,
        *,
        strict: bool = False,
    ) -> None:
        """`strict`: etcd's own check, which takes no new member while a voter is down."""
        self.strict = strict
        self.folder, self.voters, self.spares = folder, tuple(voters), tuple(spares)
        ports = free_ports(2 * (len(voters) + len(spares)))
        self.nodes = {
            name: StorageNode(
                name=name,
                folder=folder / name,
                client_url=f"http://127.0.0.1:{ports[2 * at]}",
                peer_url=f"http://127.0.0.1:{ports[2 * at + 1]}",
            )
            for at, name in enumerate((*voters, *spares))
        }
        self.etcd, self.etcdctl = etcd_program("etcd"), etcd_program("etcdctl")
        self.config = folder / "supervisord.conf"
        self._sockets = Path(tempfile.mkdtemp(prefix="runner-etcd-"))
        self._supervisor: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the voters and return when each is healthy. Raises RunnerError when one is not."""
        for node in self.nodes.values():
            node.folder.mkdir(parents=True)
        initial = ",".join(f"{name}={self.nodes[name].peer_url}" for name in self.voters)
        for name in self.voters:
            (self.nodes[name].folder / "etcd.env").write_text(
                _env(self.nodes[name], initial, strict=self.strict)
            )
        programs = [
            _PROGRAM.format(
                name=node.name,
                etcd=self.etcd,
                folder=node.folder,
                autostart=str(node.name in self.voters).lower(),
            )
            for node in self.nodes.values()
        ]
        head = _CONF.format(socket=self._sockets / "s.sock", root=self.folder)
        self.config.write_text(head + "".join(programs))
        self._supervisor = subprocess.Popen(
            [program("supervisord"), "-c", str(self.config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            # No thread of ours runs yet; it ends a cluster whose demo was killed.
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
        until = time.monotonic() + START_SECONDS
        while not all(self.nodes[name].healthy() for name in self.voters):
            if time.monotonic() > until:
                raise RunnerError(f"the etcd cluster did not start; see {self.folder}/*/etcd.log")
            time.sleep(0.1)

    def control(self, *command: str) -> str:
        """What supervisorctl says to `command`."""
        call = [program("supervisorctl"), "-c", str(self.config), *command]
        done = subprocess.run(call, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout.strip()

    def kill(self, name: str) -> None:
        """End a node outright, as a power cut would; its data stays where it is."""
        self.control("signal", "KILL", name)

    def members(self) -> dict[str, str]:
        """What a healthy node says; empty while none answers."""
        for node in self.nodes.values():
            with contextlib.suppress(httpx.HTTPError):  # one may end between the two questions
                if node.healthy():
                    return node.members()
        return {}

    def variables(self) -> dict[str, Any]:
        """What the inventory says of every node to the role `etcd_member`."""
        return {
            "etcd_member_endpoints": [node.client_url for node in self.nodes.values()],
            "etcd_member_manager": "supervisord",
            "etcd_member_supervisor_config": str(self.config),
            "etcd_member_etcdctl": self.etcdctl,
            "etcd_member_settle_seconds": 90,
            "etcd_member_strict_reconfig_check": self.strict,
        }

    def variables_of(self, name: str) -> dict[str, Any]:
        """And of one node."""
        node = self.nodes[name]
        return {
            "etcd_member_service": name,
            "etcd_member_client_url": node.client_url,
            "etcd_member_peer_url": node.peer_url,
            "etcd_member_data": str(node.folder / "data"),
            "etcd_member_environment": str(node.folder / "etcd.env"),
        }

    def check(self) -> None:
        """Raise RunnerError when the supervisord has ended, which nobody asked it to."""
        if self._supervisor is not None and self._supervisor.poll() is not None:
            raise RunnerError(f"The supervisord ended by itself; see {self.folder}/supervisord.log")

    def stop(self) -> None:
        """End every node and the supervisord."""
        if self._supervisor is not None and self._supervisor.poll() is None:
            for name in self.nodes:
                self.control("signal", "KILL", name)
            self._supervisor.terminate()
            try:
                self._supervisor.wait(20)
            except subprocess.TimeoutExpired:
                self._supervisor.kill()
                self._supervisor.wait()
        shutil.rmtree(self._sockets, ignore_errors=True)


def etcd_program(name: str) -> str:
    """The program in PATH. Raises RunnerError with what to install."""
    found = shutil.which(name)
    if found is None:
        raise RunnerError(
            f"{name} is not installed, and this needs a real etcd: "
            "apt install etcd-server etcd-client, or put etcd and etcdctl of a release into PATH"
        )
    return found


def _env(node: StorageNode, initial: str, *, strict: bool) -> str:
    lines = {
        "ETCD_NAME": node.name,
        "ETCD_DATA_DIR": str(node.folder / "data"),
        "ETCD_LISTEN_CLIENT_URLS": node.client_url,
        "ETCD_ADVERTISE_CLIENT_URLS": node.client_url,
        "ETCD_LISTEN_PEER_URLS": node.peer_url,
        "ETCD_INITIAL_ADVERTISE_PEER_URLS": node.peer_url,
        "ETCD_INITIAL_CLUSTER": initial,
        "ETCD_INITIAL_CLUSTER_STATE": "new",
        # With the check, etcd 3.4 takes no new member while a voter is down, and a dead node
        # could only be replaced by removing it first. The role's own preflight holds instead.
        "ETCD_STRICT_RECONFIG_CHECK": str(strict).lower(),
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())
