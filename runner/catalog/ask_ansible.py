"""Asks Ansible where it looks for what it loads, and prints the answer as JSON.

Started by file in a process of its own, with the environment of a run: only Ansible can say
what its configuration comes to. It imports nothing of the runner.
"""

from __future__ import annotations

import json
import os
import sys

import jinja2
import yaml
from ansible import constants, release


def main() -> None:
    """Print the versions, the folders by the variable that names them, and the redirects."""
    definitions = constants.config.get_configuration_definitions()
    folders = {
        setting["env"][0]["name"]: [str(path) for path in getattr(constants, name) or ()]
        for name, setting in definitions.items()
        if setting.get("type") == "pathspec" and setting.get("env")
    }
    # Short name → collections in which ansible-core looks for a plugin of that name.
    redirects: dict[str, set[str]] = {}
    path = os.path.join(os.path.dirname(release.__file__), "config", "ansible_builtin_runtime.yml")
    with open(path, "rb") as file:
        routing = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    for section in routing.values():
        for kind in section.values() if isinstance(section, dict) else ():
            for name, route in kind.items() if isinstance(kind, dict) else ():
                target = route.get("redirect", "") if isinstance(route, dict) else ""
                if target.count(".") > 1 and not target.startswith("ansible.builtin."):
                    redirects.setdefault(name, set()).add(".".join(target.split(".")[:2]))
    answer = {
        "versions": {"ansible-core": release.__version__, "jinja2": jinja2.__version__},
        "folders": folders,
        # Folders of installed Python packages, in which Ansible looks for collections too.
        "collections": [
            *folders.get("ANSIBLE_COLLECTIONS_PATH", ()),
            *(list(sys.path) if constants.COLLECTIONS_SCAN_SYS_PATH else []),
        ],
        "redirects": {name: sorted(targets) for name, targets in redirects.items()},
        "config": constants.CONFIG_FILE,
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
