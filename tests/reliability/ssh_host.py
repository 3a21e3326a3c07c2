"""A host on this machine: a network namespace of its own with a real sshd in it. Takes root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.service_lab import soon
from tests.real_alertmanager import require

SSHD = "/usr/sbin/sshd"


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class SshHost:
    """One host; `close` removes whatever there is of it."""

    def __init__(self, folder: Path) -> None:
        require("ip")
        if not Path(SSHD).exists() and os.environ.get("CI") != "true":
            pytest.skip("sshd is not installed")
        self._name = f"rel{os.getpid() % 100000}"
        self._folder = folder
        self._known = folder / "known_hosts"
        self.address = f"10.213.{os.getpid() % 250}.2"
        self._sshd: subprocess.Popen[bytes] | None = None
        try:
            self._connect()
        except subprocess.CalledProcessError as error:
            self.close()
            if os.geteuid() == 0 and os.environ.get("CI") == "true":
                raise
            pytest.skip(f"no network namespace can be made here: {error.stderr.strip()}; be root")
        self._start()

    def _connect(self) -> None:
        name, ours = self._name, self.address.removesuffix("2") + "1/30"
        run("ip", "netns", "add", name)
        run("ip", "link", "add", f"{name}a", "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "addr", "add", ours, "dev", f"{name}a")
        run("ip", "link", "set", "dev", f"{name}a", "up")
        inside = ("addr", "add", f"{self.address}/30", "dev", "eth0")
        run("ip", "-n", name, *inside)
        for device in ("eth0", "lo"):
            run("ip", "-n", name, "link", "set", "dev", device, "up")

    def _start(self) -> None:
        key, host_key = self._folder / "key", self._folder / "host_key"
        for path in (key, host_key):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
        kind, public, *_ = host_key.with_suffix(".pub").read_text().split()
        self._known.write_text(f"{self.address} {kind} {public}\n")
        allowed = self._folder / "authorized_keys"
        shutil.copy(key.with_suffix(".pub"), allowed)
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd wants it to be there
        options = [f"HostKey={host_key}", f"AuthorizedKeysFile={allowed}", "StrictModes=no",
                   "UsePAM=no", "PidFile=none", "PermitRootLogin=prohibit-password"]  # fmt: skip
        flags = [word for option in options for word in ("-o", option)]
        log = (self._folder / "sshd.log").open("wb")
        self._sshd = subprocess.Popen(
            ["ip", "netns", "exec", self._name, SSHD, "-D", "-e", "-f", "/dev/null", *flags],
            stderr=log, start_new_session=True,
        )  # fmt: skip
        log.close()
        soon(lambda: b"listening" in (self._folder / "sshd.log").read_bytes(), "sshd listens")

    def variables(self) -> dict[str, Any]:
        """How the inventory reaches it."""
        alive = "-o ServerAliveInterval=1 -o ServerAliveCountMax=3"
        return {
            "ansible_connection": "ssh",
            "ansible_host": self.address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self._folder / "key"),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self._known} {alive}",
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def _pids(self) -> list[int]:
        found = subprocess.run(
            ["ip", "netns", "pids", self._name], capture_output=True, text=True, check=False
        )
        return [int(word) for word in found.stdout.split()]

    def cut(self) -> None:
        """End every session, as a firewall or an administrator would; the host lives on."""
        assert self._sshd is not None
        for pid in self._pids():
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if pid != self._sshd.pid and command.startswith(b"sshd"):
                os.kill(pid, signal.SIGKILL)

    def die(self) -> None:
        """Everything on it ends at once, and no packet is answered any more."""
        run("ip", "-n", self._name, "link", "set", "dev", "eth0", "down")
        for pid in self._pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def close(self) -> None:
        for _ in range(20):
            for pid in self._pids():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if not self._pids():
                break
            time.sleep(0.1)
        if self._sshd is not None:
            self._sshd.wait(20)
        subprocess.run(["ip", "link", "del", f"{self._name}a"], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", self._name], capture_output=True, check=False)
