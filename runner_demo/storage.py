"""`runner demo storage`: a node of an etcd cluster fails and is replaced while a client writes."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from runner import shipped
from runner.errors import RunnerError
from runner.incident import Level, State
from runner.incident_report import Bundle
from runner.project import Project
from runner_demo import folder as project_folder
from runner_demo.answer import Asker
from runner_demo.cluster import Cluster
from runner_demo.ended import Signals
from runner_demo.fleet import free_ports, program
from runner_demo.play import Stage, alone, follow, near, rows, server, start
from runner_demo.show import Show
from runner_demo.story import Event, event
from runner_demo.writer import Writer

HOST = "s1"
#: Six Ansible runs; on an idle machine they take half a minute.
END_SECONDS = 900.0
#: Until a trend shows, on a machine that does a lot besides.
SIGNS_SECONDS = 300.0
ALERT = "etcdMembersDown"
WARNING, CRITICAL = "StorageNodeWarning", "StorageNodeCritical"
GREYLIST = "inventories/example/greylist.py"
#: Where the alerts lead, and what that is made of.
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
    degrading: bool = False  #: whether the node shows signs first, instead of dying at once


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
            port = free_ports(1)[0]
            metrics = None
            if wish.degrading:
                from runner import predict
                from runner_demo import degrading

                predict.look_for_extra()
                metrics = stack.enter_context(
                    degrading.prometheus(place / "prometheus", port, tuple(cluster.nodes))
                )
            monitor = stack.enter_context(watched(cluster))
            path = furnish(place, cluster, monitor, wish, metrics)
            project = Project.load(path)
            stack.callback(project.close)
            web = server(project)
            stack.callback(web.stop)
            with signals.deferred():
                stage = start(project, web, path, stack)
            show.tell(event("cluster", **_cluster(wish, stage, cluster)))
            if wish.degrading:
                return _degrade(wish, stage, cluster, port, show, asker)
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


def furnish(
    place: Path, cluster: Cluster, monitor: str, wish: Wish, metrics: str | None = None
) -> Path:
    """Copy the storage catalog, write inventory and runner.yml; the path of the latter.

    `metrics` is the URL of a Prometheus that nodes are predicted from.
    """
    for name in (*(f"playbooks/{entry}" for entry in ENTRIES), "ansible.cfg"):
        project_folder.copy(shipped.folder() / name, place / name)
    for entry in sorted(place.glob("playbooks/*/entry.yml")):
        entry.write_text(project_folder.hastened(entry.read_text()))
    belong(place, cluster, cluster.voters)
    path = place / "runner.yml"
    content = settings(cluster, monitor, wish)
    if metrics is not None:
        from runner_demo import degrading

        content |= {"prometheus": {"url": metrics}, "nodes": degrading.settings("storage")}
        # Every playbook sees who is greylisted.
        script = place / "inventories/demo/greylist.py"
        project_folder.copy(shipped.folder() / GREYLIST, script)
        script.chmod(0o755)
    path.write_text(project_folder.as_yaml(content, "Written by `runner demo storage`."))
    return path


def belong(place: Path, cluster: Cluster, members: Collection[str]) -> None:
    """Write down who is a storage node; everybody else is a spare."""
    hosts = place / "inventories/demo/hosts.yml"
    hosts.parent.mkdir(parents=True, exist_ok=True)
    content = inventory(cluster, members=members)
    hosts.write_text(project_folder.as_yaml(content, "This demo's cluster."))


def inventory(
    cluster: Cluster,
    more: Mapping[str, Any] | None = None,
    *,
    members: Collection[str] | None = None,
) -> dict[str, Any]:
    """The cluster as an Ansible inventory: members, at first its voters, and spares."""
    storage = cluster.voters if members is None else members
    spares = [name for name in cluster.nodes if name not in storage]
    names = {"storage": storage, "storage_spares": spares}
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
    with writing(cluster) as writer:
        began = datetime.now(UTC)
        cluster.kill(HOST)
        ill = [name for name, node in cluster.nodes.items() if not node.healthy()]
        left = ", ".join(name for name in cluster.voters if name not in ill)
        broken = {
            "fault": "storage",
            "title": "a storage node dies",
            "host": HOST,
            "done": "its etcd is killed with SIGKILL and stays down; a client goes on writing",
            "answer": f"healthy are {left}: one more failure would cost the quorum",
        }
        show.tell(Event(kind="broken", at=began, data=broken))
        found = follow(ALERT, stage, cluster, show, asker, patience=END_SECONDS)
    return _conclude(wish, stage, cluster, writer, found, began, show)


def _degrade(
    wish: Wish, stage: Stage, cluster: Cluster, port: int, show: Show, asker: Asker
) -> int:
    """Signs first, for which a spare joins and the node stays; then it is about to fail."""
    from runner_demo import degrading

    told = {"patience": END_SECONDS, "notice": SIGNS_SECONDS}
    declining = {
        "fault": "degrading",
        "title": "a storage node degrades",
        "host": HOST,
        "done": "its metrics are simulated from here on, two hours of them in a second; what they "
        "lead to is real",
        "answer": "its disk fills and fills, and a real Prometheus sees it; a client goes on "
        "writing",
    }
    decline = degrading.Decline(cluster.voters, port)
    try:
        with writing(cluster) as writer:
            began = datetime.now(UTC)
            show.tell(Event(kind="broken", at=began, data=declining))
            first = follow(WARNING, stage, cluster, show, asker, **told)
            show.tell(event("node", host="members", answer=_said(cluster.members())))
            _ended_well(wish, first)
            # What people do after a node was added: it is no spare any more.
            belong(stage.path.parent, cluster, cluster.members())
            decline.worsen()
            found = follow(CRITICAL, stage, cluster, show, asker, **told)
    finally:
        decline.stop()
    show.tell(event("timeline", rows=list(rows(first, began))))
    return _conclude(wish, stage, cluster, writer, found, began, show)


@contextmanager
def writing(cluster: Cluster) -> Iterator[Writer]:
    """A client that writes for the time of the block."""
    writer = Writer([node.client_url for node in cluster.nodes.values()])
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


def _conclude(
    wish: Wish,
    stage: Stage,
    cluster: Cluster,
    writer: Writer,
    found: Bundle,
    began: datetime,
    show: Show,
) -> int:
    show.tell(event("node", host="members", answer=_said(cluster.members())))
    lost = writer.lost()
    written = (
        f"{len(writer.acknowledged)} writes were acknowledged, {len(lost)} of them are lost; "
        f"the longest time without an acknowledgement was {writer.longest:.1f}s"
    )
    show.tell(event("node", host="client", answer=written))
    show.tell(event("timeline", rows=list(rows(found, began))))
    call = f"runner --config {near(stage.path)}"
    further = [f"{call} incident show {found.incident.id} --all", f"{call} audit verify"]
    show.tell(event("further", lines=further))
    if lost:
        raise RunnerError(f"{len(lost)} acknowledged writes were lost, the first is n{lost[0]}")
    _ended_well(wish, found)
    return 0


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


def _said(members: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {role}" for name, role in sorted(members.items()))


def _ended_well(wish: Wish, found: Bundle) -> None:
    """Raise RunnerError, a sentence, unless it ended as the level says."""
    ends = {Level.OBSERVE: State.OBSERVED, Level.DRY_RUN: State.DRY_RUN}
    incident = found.incident
    if incident.state is not ends.get(wish.level, State.FIXED):
        raise RunnerError(f"{HOST} was not helped: {incident.state}: {incident.reason}")
