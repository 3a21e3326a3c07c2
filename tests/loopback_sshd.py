"""A real sshd on a loopback port, as the user that we are: no root, no namespace."""

from __future__ import annotations

import getpass
import os
import re
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.acceptance.service_lab import soon

SSHD = "/usr/sbin/sshd"


def key_pair(path: Path, passphrase: str = "") -> Path:
    """A new private key; `.pub` beside it."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


class Sshd:
    """Lets in whoever has `key`; `log` tells who came. `close` ends it with all connections."""

    def __init__(self, folder: Path, key: Path) -> None:
        if not Path(SSHD).exists() and os.environ.get("CI") != "true":
            pytest.skip("sshd is not installed")
        folder.mkdir()
        self.user = getpass.getuser()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        host_key, allowed = key_pair(folder / "host_key"), folder / "authorized_keys"
        allowed.write_text(key.with_suffix(".pub").read_text())
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd wants it to be there
        options = [
            "ListenAddress=127.0.0.1", f"Port={self.port}", f"HostKey={host_key}",
            f"AuthorizedKeysFile={allowed}", "StrictModes=no", "UsePAM=no", "PidFile=none",
            "PasswordAuthentication=no", "KbdInteractiveAuthentication=no", "LogLevel=VERBOSE",
        ]  # fmt: skip
        self._log = folder / "log"
        flags = [word for option in options for word in ("-o", option)]
        with self._log.open("wb") as log:
            self._sshd = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", "/dev/null", *flags], stderr=log, start_new_session=True
            )
        soon(lambda: "listening" in self.log, "sshd listens")
        public = host_key.with_suffix(".pub").read_text()
        self.known = f"[127.0.0.1]:{self.port} {public}"  #: its line for a known_hosts

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def logins(self) -> int:
        """How many connections it has let in."""
        return len(re.findall("Accepted publickey", self.log))

    def close(self) -> None:
        for process in psutil.Process(self._sshd.pid).children(recursive=True):
            with suppress(psutil.Error):
                process.kill()
        self._sshd.kill()
        self._sshd.wait(20)


class Agent:
    """An ssh-agent that holds one key."""

    def __init__(self, folder: Path, key: Path, passphrase: str) -> None:
        folder.mkdir()
        self.socket = folder / "agent"
        self._agent = subprocess.Popen(
            ["ssh-agent", "-D", "-a", str(self.socket)], stdout=subprocess.DEVNULL
        )
        soon(self.socket.exists, "the agent answers")
        ask = folder / "ask"
        ask.write_text(f"#!/bin/sh\necho '{passphrase}'\n")
        ask.chmod(0o700)
        subprocess.run(
            ["ssh-add", str(key)],
            env={"SSH_AUTH_SOCK": str(self.socket), "SSH_ASKPASS": str(ask),
                 "SSH_ASKPASS_REQUIRE": "force", "PATH": os.defpath},
            check=True, capture_output=True,
        )  # fmt: skip

    def close(self) -> None:
        self._agent.kill()
        self._agent.wait(20)
