"""The etcd cluster of a lab, a client that writes throughout, and somebody who counts voters."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from runner.incident_report import Bundle
from runner_demo.cluster import StorageNode
from runner_demo.writer import Writer
from tests.acceptance.service_lab import soon
from tests.lab import lab as labs
from tests.lab import layout, project, watch
from tests.lab.lab import Lab
from tests.lab.layout import Layout
from tests.lab.shell import inside
from tests.notify_servers import Web, web

DATA = "lab"  #: the name of the data directory in /var/lib/etcd
#: Any machine elects a leader in that time.
SECONDS = 300.0
_DISK = 32 * 1024**2
_GREYLIST = layout.REPOSITORY / "inventories/example/greylist.py"


class Storage:
    """The cluster with its client, from `start` to `stop`."""

    def __init__(self, lab: Lab, on_call: Web) -> None:
        self.lab = lab
        self._on_call = on_call
        self.nodes = {
            name: StorageNode(
                name=name,
                folder=Path("/var/lib/etcd"),
                client_url=f"http://{address}:2379",
                peer_url=f"http://{address}:2380",
            )
            for name, address in layout.ADDRESSES.items()
            if layout.is_storage(name)
        }
        self.writer = Writer([node.client_url for node in self.nodes.values()])
        self.fewest = len(layout.MEMBERS)  #: voters that there ever were
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="voters", daemon=True)

    def start(self) -> None:
        """Return when every member is healthy and the client writes."""
        soon(
            lambda: all(self.nodes[name].healthy() for name in layout.MEMBERS),
            "all members are healthy",
            SECONDS,
        )
        self.writer.start()
        self._watcher.start()

    def stop(self) -> None:
        """Write and count no more."""
        if not self._stop.is_set():
            self._stop.set()
            self._watcher.join()
            self.writer.stop()

    def _watch(self) -> None:
        """Count the voters, and have Prometheus look at just these: a service discovery."""
        known = sorted(layout.MEMBERS)
        while not self._stop.wait(0.3):
            if voters := self.voters():
                self.fewest = min(self.fewest, len(voters))
                if voters != known:
                    watch.watch_members(self.lab.layout, voters)
                known = voters

    def messages(self) -> list[str]:
        """What somebody on call was sent, each as one text."""
        return [f"{body['title']}: {body['message']}" for body in self._on_call.bodies]

    def members(self) -> dict[str, str]:
        """Name → voter or learner, by the first that answers; empty while none does."""
        for name in self.lab.hosts:
            try:
                return self.nodes[name].members()
            except httpx.HTTPError:
                continue
        return {}

    def voters(self) -> list[str]:
        """The names of those that vote."""
        return sorted(name for name, role in self.members().items() if role == "voter")

    def leader(self) -> str:
        """The member that says that it leads; empty while none does."""
        return next((name for name in self.lab.hosts if self.nodes[name].leads()), "")

    def lead(self, name: str) -> None:
        """Have a member lead."""

        def leads() -> bool:
            if (now := self.leader()) not in ("", name):
                self.etcdctl(now, "move-leader", self.id_of(name), check=False)
            return self.leader() == name

        soon(leads, f"{name} leads", SECONDS)

    def id_of(self, name: str) -> str:
        """The member's id."""
        lines = self.etcdctl(self.leader(), "member", "list").splitlines()
        return next(line.split(", ")[0] for line in lines if line.split(", ")[2] == name)

    def etcdctl(self, name: str, *words: str, check: bool = True) -> str:
        """What etcdctl on a host prints, asked of its own etcd."""
        call = ("env", "ETCDCTL_API=3", "etcdctl", f"--endpoints={self.nodes[name].client_url}")
        return self.lab.run(name, *call, *words, check=check)

    def power_off(self, name: str) -> None:
        """Cut a host's power: nothing on it is told, and its disk stays."""
        self.lab.power_off(name)
        self.lab.hosts.remove(name)

    def put_aside(self, name: str) -> bool:
        """Whether etcd is down there for good, and its data kept under another name."""
        active, enabled = (
            self.lab.run(name, "systemctl", verb, "etcd", check=False).strip()
            for verb in ("is-active", "is-enabled")
        )
        kept = self.lab.run(name, "ls", "/var/lib/etcd").split()
        aside = [folder for folder in kept if folder.startswith(f"{DATA}.aside-")]
        return active != "active" and enabled != "enabled" and DATA not in kept and bool(aside)


class Disk:
    """A small file system of its own on a host, which really fills up."""

    def __init__(self, lab: Lab, name: str) -> None:
        self._lab, self._host = lab, name
        mount = f"mkdir -p /srv/wal && mount -t tmpfs -o size={_DISK} tmpfs /srv/wal"
        lab.run(name, "sh", "-c", mount)
        self.fill(0.3)

    def fill(self, share: float) -> None:
        """Have so much of it used."""
        self._lab.run(self._host, "fallocate", "-l", str(int(share * _DISK)), "/srv/wal/data")


@contextmanager
def running(
    at: Layout, folder: Path, hosts: Sequence[str], **settings: Any
) -> Iterator[tuple[Storage, Path]]:
    """A lab of these hosts with its cluster and client, and the runner.yml of a project on it.

    Somebody on call is told of everything that people are told of unless they say otherwise.
    """
    with labs.running(hosts, at) as lab, inside(at.namespace), web() as site:
        on_call = {"name": "on_call", "url": f"json://{site.address}"}
        notify = {"console": False, "receivers": [on_call]}
        configuration = project.write(at, folder, notify=notify, **settings)
        shutil.copy(_GREYLIST, folder / "inventories/lab")
        storage = Storage(lab, site)
        storage.start()
        try:
            yield storage, configuration
        finally:
            storage.stop()


def belong(configuration: Path, storage: Sequence[str], spares: Sequence[str]) -> None:
    """Write down who is a storage node and who a spare, as people do after a replacement."""
    path = configuration.parent / "inventories/lab/hosts.yml"
    content = yaml.safe_load(path.read_text())
    for group, names in (("storage", storage), ("storage_spares", spares)):
        content["all"]["children"][group]["hosts"] = dict.fromkeys(names)
    path.write_text(yaml.safe_dump(content))


def said(found: Bundle) -> str:
    """Every reason that an incident has."""
    return "\n".join([*(t.reason for t in found.transitions), *(run.reason for run in found.runs)])


def acted(found: Bundle) -> list[tuple[str, ...]]:
    """(entry, hosts that it locked …) of each run that acted, in order; each of them went well."""
    runs = [run for run in found.runs if run.purpose.acts]
    assert all(run.outcome and run.outcome.completed for run in runs), said(found)
    return [(run.entry, *run.hosts) for run in runs]
