"""A large inventory as Ansible told it, and the excerpt of it that one run reads.

Ansible reads its whole inventory before a first task, which takes seconds with thousands of
hosts. So a run on a large one gets a file with its own hosts. Their variables are those that
`list_exactly` merged, with Ansible's marks for what is encrypted and for what is no template;
values of groups are in them, at the level of host variables, so nothing merges them twice.

All groups are there by name. Which hosts of them are, beside the run's own, is up to what the
play can see: see `runner.catalog.inventory_use`. What an excerpt cannot say is `Doubtful`, and
the run reads the whole inventory as Ansible finds it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.errors import InventoryError
from runner.inventory.names import written_plainly

#: Hosts up to which a run reads the project's own files. Reading that many adds 8 % to a run of
#: one small task, 1,000 add 20 %, 10,000 more than double it.
LARGE = 500
#: Names by which Ansible finds a host for what a play does on the controller.
LOCALHOST = ("localhost", "127.0.0.1", "::1")
#: For hosts that are there by name only: a play that turns to one fails before it connects.
_NO_CONNECTION = {"ansible_connection": "none_because_the_plan_does_not_name_this_host"}
_MARKS = frozenset({"__ansible_vault", "__ansible_unsafe"})


class Doubtful(InventoryError):
    """An excerpt might not be to a run what the whole inventory is; a sentence says why."""


@dataclass(frozen=True, repr=False)
class Whole:
    """All hosts and groups, secrets included: for the private folders of runs, never shown."""

    variables: Mapping[str, bytes]  #: host, or `all` → JSON, as Ansible wrote it
    members: Mapping[str, tuple[str, ...]]  #: group → its own hosts, in their order
    children: Mapping[str, tuple[str, ...]]  #: group → the groups in it, in their order
    lost: Mapping[str, str]  #: host, or `all` → what this does not say of it, a few words

    @classmethod
    def of(cls, listing: str) -> Whole:
        """What `list_exactly` printed."""
        content = json.loads(listing)
        meta, places = content.pop("_meta"), ("inventory_file", "inventory_dir")
        variables = {
            host: {**meta["hostvars"].get(host, {}), **dict(zip(places, of, strict=True))}
            for host, of in meta["places"].items()
        }
        variables["all"] = content["all"]["vars"]
        return cls(
            variables={name: json.dumps(of).encode() for name, of in variables.items()},
            members={name: tuple(group.get("hosts", ())) for name, group in content.items()}
            | {"all": tuple(meta["first"])},
            children={name: tuple(group.get("children", ())) for name, group in content.items()},
            lost=meta["lost"],
        )

    def texts(self, hosts: Iterable[str]) -> str:
        """Every text of these hosts' variables, a line each: what may be a template."""
        return "\n".join(text for name in ("all", *hosts) for text in _texts(self._of(name)))

    def excerpt(self, hosts: Collection[str], named: Iterable[str]) -> bytes:
        """An inventory of these hosts, in which the `named` groups have all of theirs by name.

        Raises Doubtful.
        """
        whole: set[str] = set()  # the named groups, and all groups in them
        below = [name for name in named if name in self.members]
        while below:
            name = below.pop()
            if name not in whole:
                whole.add(name)
                below += self.children.get(name, ())
        groups: dict[str, Any] = {}
        waiting = {host: self._checked(host) for host in hosts}
        for name, members in self.members.items():
            there: dict[str, Any] = {}
            for host in members:
                if host in hosts:
                    there[host] = waiting.pop(host, None)  # at the first mention
                elif name in whole:
                    there[host] = _NO_CONNECTION
            groups[name] = {"children": dict.fromkeys(self.children.get(name, ()))}
            if there:
                groups[name]["hosts"] = there
        groups["all"]["vars"] = self._checked("all")
        if waiting:
            raise Doubtful(f"{min(waiting)} is in no group of the inventory")
        self._require_plain(groups)
        return json.dumps(groups).encode()

    def _of(self, host: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.variables.get(host, b"{}"))
        return found

    def _checked(self, name: str) -> dict[str, Any]:
        if lost := self.lost.get(name):
            raise Doubtful(f"{name}: {lost}")
        return self._of(name)

    def _require_plain(self, groups: Mapping[str, Any]) -> None:
        """Raise Doubtful for a name that may be read as something else."""
        hosts = {host for group in groups.values() for host in group.get("hosts", ())}
        known = {*groups, *(name for group in groups.values() for name in group["children"])}
        if both := hosts & known:
            raise Doubtful(f"{min(both)} is a host and a group")
        if "plugin" in known:
            raise Doubtful("a group is called plugin, which makes a file the settings of one")
        if strange := [host for host in hosts if ":" in host or not written_plainly(host)]:
            raise Doubtful(f"the host {min(strange)} has a name that may be a pattern")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        if len(value) == 1 and value.keys() <= _MARKS:
            return  # it stands for a text that is no template
        for key, item in value.items():
            yield key
            yield from _texts(item)
