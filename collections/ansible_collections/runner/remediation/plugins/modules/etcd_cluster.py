#!/usr/bin/python
"""Reads an etcd cluster and changes one member of it; knows check mode and diff."""

from __future__ import annotations

DOCUMENTATION = """
module: etcd_cluster
short_description: Reads an etcd cluster, and changes one member of it
description:
  - Reads members and their health with C(etcdctl), and changes one thing when asked to.
  - A member is healthy when its own endpoint can commit, not when the list names it.
  - Each change looks at the cluster again first, and refuses what would endanger its quorum.
options:
  endpoints:
    description: Client URLs to ask; those that do not answer are left out.
    type: list
    elements: str
    required: true
  state:
    description: >-
      V(read) changes nothing; V(learner) adds a member that does not vote; V(voter) promotes it
      once it is in sync; V(follower) moves leadership away from it; V(absent) removes it;
      V(defragmented) gives unused space of it back; V(compacted) drops old revisions.
    type: str
    choices: [read, learner, voter, follower, absent, defragmented, compacted]
    default: read
  member: {description: Name of the member to change., type: str, default: ""}
  peer_url: {description: Where a new member will listen to the others., type: str, default: ""}
  min_voters: {description: Voting members that a removal must leave., type: int, default: 3}
  keep_revisions: {description: Newest revisions that a compaction keeps., type: int, default: 1000}
  quota: {description: Bytes above which etcd raises its alarm., type: int, default: 2147483648}
  timeout: {description: Seconds to wait for the cluster to settle., type: int, default: 60}
  etcdctl: {description: The program to call., type: str, default: etcdctl}
  options:
    description: Further options of etcdctl, such as certificates.
    type: list
    elements: str
    default: []
extends_documentation_fragment: [runner.remediation.modes]
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Read the cluster
  runner.remediation.etcd_cluster:
    endpoints: [http://192.0.2.31:2379]
"""

RETURN = """
members: {description: Every member with its health., type: list, elements: dict, returned: always}
voters: {description: How many members vote., type: int, returned: always}
healthy_voters: {description: How many of them can commit., type: int, returned: always}
quorum: {description: How many must agree., type: int, returned: always}
voting: {description: Names of the voters., type: list, elements: str, returned: always}
healthy: {description: Names of the healthy voters., type: list, elements: str, returned: always}
leader: {description: Name of the leader; empty without one., type: str, returned: always}
learners: {description: Names of who has no vote yet., type: list, elements: str, returned: always}
alarms: {description: Alarms that are raised., type: list, elements: str, returned: always}
revision: {description: Of the store., type: int, returned: always}
initial_cluster: {description: What a new member starts with., type: str, returned: always}
"""

import json
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

#: Answers of a cluster that has not settled since the last change: the same again, later.
_SETTLING = (
    "unhealthy cluster",
    "in sync with leader",
    "not enough started members",
    "too many requests",
    "timed out",
    "deadline exceeded",
    "leader changed",
    "no leader",
    "connection refused",
)
_CALL_SECONDS = 3

Member = "dict[str, Any]"


class Refused(Exception):
    """The change would endanger the cluster, or cannot be made; the text says why."""


class Etcd:
    """etcdctl with its endpoints."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._program = module.get_bin_path(module.params["etcdctl"], required=True)

    def call(
        self, *words: str, endpoints: Iterable[str], seconds: int = _CALL_SECONDS
    ) -> tuple[int, str, str]:
        """Exit status, output and errors of one command."""
        limits = [f"--command-timeout={seconds}s", f"--dial-timeout={min(seconds, 2)}s"]
        options = [f"--endpoints={','.join(endpoints)}", *limits, *self._module.params["options"]]
        status, out, err = self._module.run_command(
            [self._program, *options, *words], environ_update={"ETCDCTL_API": "3"}
        )
        return status, out, err

    def answer(self, *words: str, endpoints: Sequence[str]) -> Any:
        """The JSON answer; None without one. Endpoints that fail are missing in it."""
        if not endpoints:
            return None
        _, out, _ = self.call(*words, "--write-out=json", endpoints=endpoints)
        for line in reversed(out.strip().splitlines()):
            try:
                return json.loads(line)
            except ValueError:
                continue
        return None


def listening(endpoints: Sequence[str]) -> list[str]:
    """The endpoints that take a connection at all: etcdctl would wait for the others."""

    def listens(url: str) -> str:
        address = urlsplit(url)
        try:
            socket.create_connection((address.hostname, address.port or 2379), 1).close()
        except (OSError, ValueError):
            return ""
        return url

    with ThreadPoolExecutor(max_workers=8) as pool:
        return [url for url in pool.map(listens, endpoints) if url]


def healthy(etcd: Etcd, endpoints: Sequence[str]) -> set[str]:
    """The endpoints that can commit now."""
    told = etcd.answer("endpoint", "health", endpoints=endpoints) or []
    return {each["endpoint"] for each in told if each.get("health") is True}


def read(etcd: Etcd, endpoints: Sequence[str]) -> dict[str, Any]:
    """The cluster as it is now. Raises Refused when nobody answers."""
    asked = listening(endpoints)
    able = healthy(etcd, asked)
    listed: dict[str, Any] | None = None
    for url in [*sorted(able), *(url for url in asked if url not in able)]:
        listed = etcd.answer("member", "list", endpoints=[url])
        if listed:
            break
    if not listed:
        raise Refused(f"no etcd answers at {', '.join(endpoints)}")
    members = [_member(raw) for raw in listed["members"]]
    urls = [url for member in members for url in member["client_urls"]]
    others = listening([url for url in urls if url not in asked])
    able |= healthy(etcd, others)
    told = etcd.answer("endpoint", "status", endpoints=[u for u in urls if u in {*asked, *others}])
    status = {each["Endpoint"]: each["Status"] for each in told or []}
    for member in members:
        _complete(member, able, status)
    return view(members, _alarms(etcd, sorted(able)))


def _member(raw: dict[str, Any]) -> Member:
    return {
        "id": f"{raw['ID']:x}",
        "name": raw.get("name", ""),
        "peer_urls": raw.get("peerURLs", []),
        "client_urls": raw.get("clientURLs", []),
        "learner": raw.get("isLearner", False),
    }


def _complete(member: Member, able: set[str], status: dict[str, Any]) -> None:
    """What the member's own endpoint says; a learner cannot commit and so is never healthy."""
    told = next((status[url] for url in member["client_urls"] if url in status), {})
    member["reachable"] = bool(told)
    member["healthy"] = any(url in able for url in member["client_urls"])
    member["leader"] = bool(told) and f"{told.get('leader', 0):x}" == member["id"]
    member["raft_index"] = told.get("raftIndex", 0)
    member["revision"] = told.get("header", {}).get("revision", 0)
    member["size"] = told.get("dbSize", 0)
    member["used"] = told.get("dbSizeInUse", 0)


def _alarms(etcd: Etcd, endpoints: Sequence[str]) -> list[str]:
    """`NAME of member ID` of every alarm."""
    names = {1: "NOSPACE", 2: "CORRUPT"}
    found = (etcd.answer("alarm", "list", endpoints=endpoints[:1]) or {}).get("alarms", [])
    return sorted(f"{names.get(a.get('alarm'), 'UNKNOWN')} of {a['memberID']:x}" for a in found)


def view(members: list[Member], alarms: list[str]) -> dict[str, Any]:
    """The members and what follows from them."""
    voters = [member for member in members if not member["learner"]]
    return {
        "members": members,
        "voters": len(voters),
        "healthy_voters": sum(member["healthy"] for member in voters),
        "quorum": len(voters) // 2 + 1,
        "leader": next((member["name"] for member in members if member["leader"]), ""),
        "voting": sorted(member["name"] or member["id"] for member in voters),
        "healthy": sorted(member["name"] for member in voters if member["healthy"]),
        "learners": [member["name"] or member["id"] for member in members if member["learner"]],
        "alarms": alarms,
        "revision": max((member["revision"] for member in members), default=0),
    }


def find(cluster: dict[str, Any], name: str, peer_url: str = "") -> Member | None:
    """The member of this name, or one that was added and has not started yet, by its URL."""
    for member in cluster["members"]:
        if member["name"] == name or (peer_url and peer_url in member["peer_urls"]):
            return dict(member)
    return None


def against_adding(cluster: dict[str, Any]) -> str:
    """Why no member may be added now; empty when one may."""
    if cluster["learners"]:
        return f"{', '.join(cluster['learners'])} is still joining; one change at a time"
    if cluster["healthy_voters"] < cluster["quorum"]:
        able = f"{cluster['healthy_voters']} of {cluster['voters']}"
        return f"only {able} voters are healthy, quorum is {cluster['quorum']}"
    return ""


def against_removing(cluster: dict[str, Any], member: Member, min_voters: int) -> str:
    """Why this member may not be removed now; empty when it may."""
    others = [m for m in cluster["members"] if m["id"] != member["id"]]
    joining = [m["name"] or m["id"] for m in others if m["learner"]]
    left = [m for m in others if not m["learner"]]
    able, quorum = sum(m["healthy"] for m in left), len(left) // 2 + 1
    if joining:
        return f"{', '.join(joining)} is still joining; one change at a time"
    if len(left) < min_voters:
        return f"{len(left)} voters would be left, the minimum is {min_voters}"
    if able < quorum:
        return f"{able} of {len(left)} voters would be left healthy, quorum would be {quorum}"
    return ""


def against_stopping(cluster: dict[str, Any], member: Member) -> str:
    """Why this member may not be busy for a while; empty when it may."""
    others = [m for m in cluster["members"] if m["id"] != member["id"]]
    if missing := [m["name"] or m["id"] for m in others if m["learner"] or not m["healthy"]]:
        return f"{', '.join(missing)} is not a healthy voter, and one member at a time may be busy"
    return ""


class Change:
    """One change of one member, asked for once; the cluster may need time for it."""

    def __init__(self, module: AnsibleModule, etcd: Etcd) -> None:
        self._params, self._check, self._etcd = module.params, module.check_mode, etcd
        self._until = time.monotonic() + module.params["timeout"]
        self.cluster = self._read()
        self.changed = False

    def _read(self) -> dict[str, Any]:
        return read(self._etcd, self._params["endpoints"])

    def _urls(self) -> list[str]:
        """Where to send a change: healthy voters that are not the member in question."""
        members = [m for m in self.cluster["members"] if m["healthy"]]
        others = [m for m in members if m["name"] != self._params["member"]]
        return [url for m in others or members for url in m["client_urls"]]

    def _do(
        self, *words: str, done: Callable[[], bool], endpoints: list[str] | None = None
    ) -> None:
        """Ask, again while the cluster is settling, until it shows that it is done."""
        self.changed = True
        said = ""
        while not self._check:
            where = endpoints or self._urls()
            if where:
                status, out, err = self._etcd.call(*words, endpoints=where)
                said = f"{out}{err}".strip()
                if status and not any(word in said for word in _SETTLING):
                    raise Refused(f"etcdctl {words[0]} {words[1]}: {said[-300:]}")
            self.cluster = self._read()
            if done():
                return
            if time.monotonic() >= self._until:
                raise Refused(f"the cluster did not settle in time: {self._why(said)}")
            time.sleep(1)

    def _why(self, said: str) -> str:
        last = said.strip().splitlines()[-1:] or [""]
        down = [m["name"] for m in self.cluster["members"] if not m["learner"] and not m["healthy"]]
        if "unhealthy cluster" in said and down:
            strict = "etcd takes no new member while a voter is down (strict-reconfig-check)"
            return f"{strict}; not healthy: {', '.join(down)}"
        return last[0][-300:]

    def learner(self) -> None:
        name, url = self._params["member"], self._params["peer_url"]
        if find(self.cluster, name, url) is not None:
            return
        if why := against_adding(self.cluster):
            raise Refused(f"{name} is not added: {why}")
        words = ("member", "add", name, "--learner", f"--peer-urls={url}")
        self._do(*words, done=lambda: find(self.cluster, name, url) is not None)

    def voter(self) -> None:
        name, url = self._params["member"], self._params["peer_url"]
        member = find(self.cluster, name, url)
        if member is None and not self._check:
            raise Refused(f"{name} is no member, so it cannot be promoted")
        if member is not None and not member["learner"]:
            self._settled(name)
            return

        def voting() -> bool:
            found = find(self.cluster, name, url)
            return found is not None and not found["learner"]

        self._do("member", "promote", member["id"] if member else "", done=voting)
        self._settled(name)

    def _settled(self, name: str) -> None:
        """Wait until the member can commit."""
        while not self._check:
            found = find(self.cluster, name)
            if found is not None and found["healthy"]:
                return
            if time.monotonic() >= self._until:
                raise Refused(f"{name} votes, but it is not healthy")
            time.sleep(1)
            self.cluster = self._read()

    def follower(self) -> None:
        member = find(self.cluster, self._params["member"])
        if member is None or not member["leader"]:
            return
        able = [m for m in self.cluster["members"] if m["healthy"] and m["id"] != member["id"]]
        if not able:
            raise Refused(f"{member['name']} leads, and no other voter is healthy")
        heir = max(able, key=lambda m: (m["raft_index"], m["name"]))
        self._do(
            "move-leader",
            heir["id"],
            endpoints=member["client_urls"],
            done=lambda: self.cluster["leader"] not in ("", member["name"]),
        )

    def absent(self) -> None:
        member = find(self.cluster, self._params["member"])
        if member is None:
            return
        if why := against_removing(self.cluster, member, self._params["min_voters"]):
            raise Refused(f"{member['name']} is not removed: {why}")
        if member["leader"] and not self._check:
            raise Refused(f"{member['name']} still leads; move leadership away first")
        gone = lambda: find(self.cluster, member["name"]) is None  # noqa: E731
        self._do("member", "remove", member["id"], done=gone)

    def defragmented(self) -> None:
        member = find(self.cluster, self._params["member"])
        if member is None or not member["reachable"]:
            raise Refused(f"{self._params['member']} is no member that answers")
        if why := against_stopping(self.cluster, member):
            raise Refused(f"{member['name']} is not defragmented: {why}")
        if member["size"] - member["used"] > member["size"] // 10:
            self.changed = True
            self._defragment(member)
        self._disarm()

    def _defragment(self, member: Member) -> None:
        if self._check:
            return
        seconds = self._params["timeout"]
        status, out, err = self._etcd.call(
            "defrag", endpoints=member["client_urls"][:1], seconds=seconds
        )
        if status:
            raise Refused(f"etcdctl defrag: {(out + err).strip()[-300:]}")
        self.cluster = self._read()
        self._settled(member["name"])

    def _disarm(self) -> None:
        """Lift the space alarm once every member has room again."""
        full = [m for m in self.cluster["members"] if m["size"] > self._params["quota"] * 0.9]
        space = [alarm for alarm in self.cluster["alarms"] if alarm.startswith("NOSPACE")]
        if space and not full:
            self._do("alarm", "disarm", done=lambda: not self.cluster["alarms"])

    def compacted(self) -> None:
        to = self.cluster["revision"] - self._params["keep_revisions"]
        if self.cluster["healthy_voters"] < self.cluster["quorum"]:
            raise Refused("the cluster has no quorum, so nothing can be compacted")
        if to < 1:
            return
        self.changed = True
        if self._check:
            return
        status, out, err = self._etcd.call("compact", str(to), endpoints=self._urls(), seconds=30)
        said = f"{out}{err}".strip()
        if status and "has been compacted" not in said:
            raise Refused(f"etcdctl compact: {said[-300:]}")
        self.changed = not status


def difference(before: dict[str, Any], after: dict[str, Any], wish: dict[str, Any]) -> Any:
    """The members before and after; in check mode the wish stands for what would come."""
    shown = [f"{m['name'] or m['peer_urls'][0]}: {_role(m)}" for m in before["members"]]
    if wish:
        then = [line for line in shown if not line.startswith(f"{wish['member']}: ")]
        then += [] if wish["role"] == "absent" else [f"{wish['member']}: {wish['role']}"]
    else:
        then = [f"{m['name'] or m['peer_urls'][0]}: {_role(m)}" for m in after["members"]]
    return {"before": "\n".join(sorted(shown)) + "\n", "after": "\n".join(sorted(then)) + "\n"}


def _role(member: Member) -> str:
    if member["learner"]:
        return "learner"
    return "leader" if member["leader"] else "voter"


_WISHES = {
    "learner": "learner",
    "voter": "voter",
    "follower": "voter",
    "absent": "absent",
    "defragmented": "defragmented",
    "compacted": "older revisions dropped",
}


def initial_cluster(cluster: dict[str, Any], name: str, peer_url: str) -> str:
    """What a new member starts with: everybody by name and peer URL, itself included."""
    pairs = {}
    for member in cluster["members"]:
        own = peer_url and peer_url in member["peer_urls"]
        called = name if own else member["name"]
        pairs |= {f"{called}={url}": None for url in member["peer_urls"] if called}
    if peer_url:
        pairs[f"{name}={peer_url}"] = None
    return ",".join(sorted(pairs))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "endpoints": {"type": "list", "elements": "str", "required": True},
            "state": {"type": "str", "choices": ["read", *_WISHES], "default": "read"},
            "member": {"type": "str", "default": ""},
            "peer_url": {"type": "str", "default": ""},
            "min_voters": {"type": "int", "default": 3},
            "keep_revisions": {"type": "int", "default": 1000},
            "quota": {"type": "int", "default": 2147483648},
            "timeout": {"type": "int", "default": 60},
            "etcdctl": {"type": "str", "default": "etcdctl"},
            "options": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        change = Change(module, Etcd(module))
        before = change.cluster
        if params["state"] != "read":
            getattr(change, params["state"])()
    except Refused as refused:
        module.fail_json(msg=f"{refused}.")
    result = dict(change.cluster, changed=change.changed)
    result["initial_cluster"] = initial_cluster(before, params["member"], params["peer_url"])
    if change.changed:
        wish = {"member": params["member"] or "cluster", "role": _WISHES[params["state"]]}
        # The same in check mode and in the run, whichever member happens to lead.
        result["diff"] = difference(before, change.cluster, wish)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
