"""A program of its own: templates in the names of inventory hosts, resolved by Ansible itself.

It imports Ansible and nothing of the runner, and is started by `runner.inventory` in the closed
environment of `ansible-inventory`. Arguments are the inventory's paths. Standard input is
`{"hosts": {"host": ["variable", …]}, "unread": ["source to leave out", …]}`; standard output is
`{"host": {"variable": value}}`, where a value that cannot be resolved is `{"unresolved": "why"}`:
it may need facts, which only a run gathers.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main() -> int:
    """Resolve what standard input asks for."""
    from ansible import constants
    from ansible.cli import CLI
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar
    from ansible.vars.hostvars import HostVars
    from ansible.vars.manager import VariableManager

    asked = json.load(sys.stdin)
    wanted: dict[str, list[str]] = asked["hosts"]
    read, unread = InventoryManager.parse_source, frozenset(asked["unread"])
    InventoryManager.parse_source = lambda inventory, source, cache=False: (
        source not in unread and read(inventory, source, cache=cache)
    )
    loader = DataLoader()
    password = constants.DEFAULT_VAULT_PASSWORD_FILE
    loader.set_vault_secrets(
        CLI.setup_vault_secrets(
            loader,
            vault_ids=list(constants.DEFAULT_VAULT_IDENTITY_LIST),
            vault_password_files=[password] if password else [],
            auto_prompt=False,
        )
    )
    inventory = InventoryManager(loader=loader, sources=sys.argv[1:])
    variables = VariableManager(loader=loader, inventory=inventory)
    HostVars(inventory, variables, loader)  # so that a template may read hostvars
    found: dict[str, dict[str, Any]] = {host: {} for host in wanted}
    for host, names in wanted.items():
        known = variables.get_vars(host=inventory.get_host(host))
        templar = Templar(loader=loader, variables=known)
        for name in names:
            try:
                answer = templar.template(known.get(name))
            except Exception as error:  # whatever it raises says that it has no value here
                found[host][name] = {"unresolved": " ".join(str(error).split())[:300]}
            else:
                found[host][name] = answer if isinstance(answer, str | list) else str(answer)
    json.dump(found, sys.stdout, default=str)
    return 0


if __name__ == "__main__":
    sys.exit(main())
