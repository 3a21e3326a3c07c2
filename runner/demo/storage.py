"""`runner demo storage`: a node of an etcd cluster dies and is replaced while a client writes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from runner.bundle import Bundle
from runner.cli.init import shipped
from runner.demo import folder as project_folder
from runner.demo.answer import Asker
from runner.demo.cluster import Cluster
from runner.demo.ended import Signals
from runner.demo.fleet import free_ports, program
from runner.demo.play import Stage, alone, follow, near, rows, server, start
from runner.demo.show import Show
from runner.demo.story import Event, event
from runner.demo.writer import Writer
from runner.errors import RunnerError
from runner.incident import Level, State
from runner.project import Project

HOST = "s1"
#: Six Ansible runs; on an idle machine they take half a minute.
END_SECONDS = 900.0
ALERT = "etcdMembersDown"
#: Where the alert leads, and what that is made of.
ENTRIES = (
    "replace_storage_node",
    "retire_storage_node",
    "add_storage_node",
    "remove_storage_member",
    "set_aside_storage_node",
)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the person asked for."""

    level: Level
    folder: Path
    port: int | None


def play(wish: Wish, show: Show, asker: Asker) -> int:
    """Show it all; the exit code. Raises RunnerError, and Ended when somebody ends it."""
    alone()
    program("supervisord")
    with Signals() as signals, ExitStack() as stack:
        try:
            place = stack.enter_context(project_folder.claimed(wish.folder))
            cluster = Cluster(place / "cluster")
            stack.callback(cluster.stop)
            cluster.start()
            monitor = stack.enter_context(watched(cluster))
            path = furnish(place, cluster, monitor, wish)
            project = Project.load(path)
            stack.callback(project.close)
            web = server(project)
            stack.callback(web.stop)
            with signals.deferred():
                stage = start(project, web, path, stack)
            return _perform(wish, stage, cluster, show, asker)
        finally:
            signals.ignore()


@contextmanager
def watched(cluster: Cluster) -> Iterator[str]:
    """A monitor of the cluster: `URL/NAME` is 503 while a member of that name is not healthy."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            node = cluster.nodes.get(self.path.strip("/"))
            ill = node is not None and not node.healthy() and node.name in cluster.members()
            self.send_response(503 if ill else 200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: what it saw is told as an alert."""

    monitor = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=monitor.serve_forever, name="storage-monitor", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{monitor.server_address[1]}"
    finally:
        monitor.shutdown()
        monitor.server_close()


def furnish(place: Path, cluster: Cluster, monitor: str, wish: Wish) -> Path:
    """Copy the storage catalog, write inventory and runner.yml; the path of the latter."""
    for name in (*(f"playbooks/{entry}" for entry in ENTRIES), "roles/etcd_member", "ansible.cfg"):
        project_folder.copy(shipped() / name, place / name)
    for entry in sorted(place.glob("playbooks/*/entry.yml")):
        entry.write_text(project_folder.hastened(entry.read_text()))
    hosts = place / "inventories/demo/hosts.yml"
    hosts.parent.mkdir(parents=True)
    hosts.write_text(project_folder.as_yaml(inventory(cluster), "This demo's cluster."))
    path = place / "runner.yml"
    content = settings(cluster, monitor, wish)
    path.write_text(project_folder.as_yaml(content, "Written by `runner demo storage`."))
    return path


def inventory(cluster: Cluster, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The cluster as an Ansible inventory: members and spares as two groups."""
    names = {"storage": cluster.voters, "storage_spares": cluster.spares}
    groups: dict[str, Any] = {
        group: {"hosts": {host: cluster.variables_of(host) for host in hosts}}
        for group, hosts in names.items()
    }
    groups["storage"]["vars"] = {
        "runner_level": "auto",
        "runner_spares": "storage_spares",
        "runner_peers": "storage",
        "runner_min_available": 2,
    }
    variables = {
        "ansible_connection": "local",
        "ansible_become": False,
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    of_all = variables | cluster.variables() | dict(more or {})
    return {"all": {"vars": of_all, "children": groups}}


def settings(cluster: Cluster, monitor: str, wish: Wish) -> dict[str, Any]:
    """The content of the demo's runner.yml."""
    return {
        "level": str(wish.level),
        "environment": "demo",
        "project": {"inventory": ["inventories/demo"]},
        "listen": {"port": wish.port or free_ports(1)[0], "allow_anonymous": True},
        "verification": {"poll": "500ms"},
        "approval": {"expires": "10m"},
        "notify": {"console": False},
        "watches": [
            {
                "name": ALERT,
                "http": f"{monitor}/{name}",
                "every": "1s",
                "for": "2s",
                "timeout": "5s",
                "labels": {"instance": name, "severity": "critical"},
                "annotations": {"summary": f"the etcd member {name} is down"},
            }
            for name in cluster.voters
        ],
    }


def _perform(wish: Wish, stage: Stage, cluster: Cluster, show: Show, asker: Asker) -> int:
    show.tell(event("cluster", **_cluster(wish, stage, cluster)))
    writer = Writer([node.client_url for node in cluster.nodes.values()])
    writer.start()
    try:
        began = datetime.now(UTC)
        cluster.kill(HOST)
        show.tell(Event(kind="broken", at=began, data=_broken(cluster)))
        found = follow(ALERT, stage, cluster, show, asker, patience=END_SECONDS)
    finally:
        writer.stop()
    show.tell(event("node", host="members", answer=_said(cluster.members())))
    lost = writer.lost()
    show.tell(event("node", host="client", answer=_written(writer, lost)))
    show.tell(event("timeline", rows=list(rows(found, began))))
    show.tell(event("further", lines=_further(stage, found)))
    return _judge(wish, found, lost)


def _cluster(wish: Wish, stage: Stage, cluster: Cluster) -> dict[str, Any]:
    return {
        "nodes": [
            {
                "name": node.name,
                "url": node.client_url,
                "role": "voter" if node.name in cluster.voters else "spare, empty",
            }
            for node in cluster.nodes.values()
        ],
        "web": stage.server.url,
        "folder": near(stage.path.parent),
        "level": str(wish.level),
        "note": project_folder.NOTE,
    }


def _broken(cluster: Cluster) -> dict[str, Any]:
    ill = [name for name, node in cluster.nodes.items() if not node.healthy()]
    left = [name for name in cluster.voters if name not in ill]
    return {
        "fault": "storage",
        "title": "a storage node dies",
        "host": HOST,
        "done": "its etcd is killed with SIGKILL and stays down; a client goes on writing",
        "answer": f"healthy are {', '.join(left)}: one more failure would cost the quorum",
    }


def _said(members: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {role}" for name, role in sorted(members.items()))


def _written(writer: Writer, lost: list[int]) -> str:
    return (
        f"{len(writer.acknowledged)} writes were acknowledged, {len(lost)} of them are lost; "
        f"the longest time without an acknowledgement was {writer.longest:.1f}s"
    )


def _further(stage: Stage, found: Bundle) -> list[str]:
    call = f"runner --config {near(stage.path)}"
    return [f"{call} incident show {found.incident.id} --all", f"{call} audit verify"]


def _judge(wish: Wish, found: Bundle, lost: list[int]) -> int:
    """0 when it ended as the level says; otherwise RunnerError, a sentence."""
    ends = {Level.OBSERVE: State.OBSERVED, Level.REHEARSE: State.DRY_RUN}
    incident = found.incident
    if lost:
        raise RunnerError(f"{len(lost)} acknowledged writes were lost, the first is n{lost[0]}")
    if incident.state is not ends.get(wish.level, State.FIXED):
        raise RunnerError(f"{HOST} was not replaced: {incident.state}: {incident.reason}")
    return 0
