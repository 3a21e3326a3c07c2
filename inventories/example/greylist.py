#!/usr/bin/env python3
"""The group `greylisted`: nodes with early signs of a failure, as the runner knows them.

An inventory script that reads the file which the runner writes into its state folder `var`, so
that every playbook sees the group, whoever starts it. It asks neither the runner nor its store: who
was greylisted stays greylisted while they are away. RUNNER_GREYLIST names another file.

No file means that nobody was ever greylisted. A file that cannot be read is an error, because an
empty group would say that every node is well.
"""

import json
import os
import sys
from pathlib import Path

ABOVE = Path(__file__).absolute().parents[1:4]


def where() -> Path:
    """The file: the one that is named, or that of the project which this script lies in."""
    if named := os.environ.get("RUNNER_GREYLIST"):
        return Path(named)
    files = [folder / "var" / "greylist.json" for folder in ABOVE]
    return next((path for path in files if path.exists()), files[0])


def main() -> int:
    """Print the inventory, as Ansible asks for it with --list."""
    path = where()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        hosts = [str(host) for host in found["greylisted"]["hosts"]]
        variables = dict(found["_meta"]["hostvars"])
    except FileNotFoundError:
        hosts, variables = [], {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{path}: the greylist cannot be read ({type(error).__name__})", file=sys.stderr)
        return 1
    print(json.dumps({"greylisted": {"hosts": hosts}, "_meta": {"hostvars": variables}}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
