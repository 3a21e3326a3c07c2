"""A program of its own: `ansible-inventory --list`, with what its listing otherwise loses.

It imports Ansible and nothing of the runner, takes the arguments of `ansible-inventory`, and
prints the same, but keys in their order instead of sorted, and more of it:

- `all.vars`: the variables of the group `all`, which also count for hosts that are not listed;
- `_meta.first`: the hosts that the group `all` names itself, in their order;
- `_meta.places`: host → `inventory_file` and `inventory_dir`;
- `_meta.lost`: host, or `all` → a variable that JSON cannot say, with why not;
- `_meta.unread`: source → why nothing is known of it, where Ansible goes on without it. One that
  does not answer within `LIMIT` counts as such.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time
from typing import Any

LIMIT = 15  #: seconds that one source may take
_AS_IT_IS = {"sort_keys": False, "indent": None}


class Sources:
    """Follows how Ansible reads each source of its inventory."""

    def __init__(self) -> None:
        self.unread: dict[str, str] = {}
        self._said = ""
        self._late = False

    def follow(self, manager: Any) -> None:
        """Be told by this class, `InventoryManager`."""
        read, plugins = manager.parse_source, manager._fetch_inventory_plugins

        def parse_source(inventory: Any, source: str, cache: bool = False) -> Any:
            self._said = ""
            parsed = read(inventory, source, cache=cache)
            if not parsed and not os.path.isdir(source):
                self.unread[source] = self._said or "no inventory plugin takes it"
            return parsed

        def fetched(inventory: Any) -> Iterator[Any]:
            for plugin in plugins(inventory):
                plugin.parse = self._in_time(plugin.parse)
                yield plugin

        manager.parse_source, manager._fetch_inventory_plugins = parse_source, fetched

    def _in_time(self, parse: Callable[..., Any]) -> Callable[..., Any]:
        def parsing(*arguments: Any, **options: Any) -> Any:
            def late(*_: object) -> None:
                self._late = True
                raise TimeoutError(f"it did not answer within {LIMIT} s")

            signal.signal(signal.SIGALRM, late)
            signal.alarm(LIMIT)
            try:
                return parse(*arguments, **options)
            except Exception as error:
                self._said = self._said or " ".join(str(error).split())[:500]
                raise
            finally:
                signal.alarm(0)

        return parsing

    def end_late_ones(self) -> None:
        """End what a source that was late has started: all that is in this session but we."""
        if self._late and os.getsid(0) == os.getpid():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.killpg(0, signal.SIGTERM)


def main() -> int:
    """Be `ansible-inventory`, and say more."""
    from ansible.cli.inventory import InventoryCLI
    from ansible.inventory.manager import InventoryManager

    sources = Sources()
    sources.follow(InventoryManager)

    class Listing(InventoryCLI):  # type: ignore[misc]
        def json_inventory(self, top: Any) -> dict[str, Any]:
            found: dict[str, Any] = super().json_inventory(top)
            meta, of_all = found["_meta"], self._get_group_variables(top)
            found.setdefault("all", {})["vars"] = of_all
            meta["first"] = [host.name for host in top.hosts]
            meta["places"] = {
                host.name: [host.vars.get("inventory_file"), host.vars.get("inventory_dir")]
                for host in self.inventory.get_hosts("all")
            }
            meta["unread"] = sources.unread
            meta["lost"] = {}
            for host, variables in {**meta["hostvars"], "all": of_all}.items():
                for name, value in variables.items():
                    if why := _no_json(value):
                        meta["lost"].setdefault(host, f"{name} holds {why}")
            return found

        @staticmethod
        def dump(stuff: Any) -> str:
            dumps = json.dumps
            json.dumps = lambda what, **options: dumps(what, **options | _AS_IT_IS)
            try:
                return str(InventoryCLI.dump(stuff))
            finally:
                json.dumps = dumps

    try:
        return int(Listing.cli_executor() or 0)
    finally:
        sources.end_late_ones()


def _no_json(value: Any) -> str:
    """What of a value JSON turns into something else; nothing where it does not."""
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            return "a key that is no text"
        return next(filter(None, map(_no_json, value.values())), "")
    if isinstance(value, list):
        return next(filter(None, map(_no_json, value)), "")
    if isinstance(value, date | time):
        return "a date or a time"
    return "a tuple or a set" if isinstance(value, tuple | set | frozenset) else ""


if __name__ == "__main__":
    sys.exit(main())
