"""A program of its own: `ansible-inventory --list`, with what its listing otherwise loses.

It imports Ansible and nothing of the runner, takes the arguments of `ansible-inventory`, and
prints the same, but keys in their order instead of sorted, and more of it:

- `all.vars`: the variables of the group `all`, which also count for hosts that are not listed;
- `_meta.first`: the hosts that the group `all` names itself, in their order;
- `_meta.places`: host → `inventory_file` and `inventory_dir`;
- `_meta.lost`: host, or `all` → a variable that JSON cannot say, with why not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import date, time
from typing import Any

_AS_IT_IS = {"sort_keys": False, "indent": None}


def main() -> int:
    """Be `ansible-inventory`, and say more."""
    from ansible.cli.inventory import InventoryCLI

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

    return int(Listing.cli_executor() or 0)


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
