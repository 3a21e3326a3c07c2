"""What comes with the runner: in the installed package, or in the repository it is run from."""

from __future__ import annotations

from pathlib import Path

import runner
from runner.errors import RunnerError

EXAMPLE = "runner.example.yml"
COLLECTION = "runner.remediation"  #: the roles and modules that come with the runner


def folder() -> Path:
    """Where all of it lies. Raises RunnerError where it is missing."""
    package = Path(runner.__file__).parent
    for place in (package / "_project", package.parent):
        if (place / EXAMPLE).is_file():
            return place
    raise RunnerError("the shipped catalog is not there; install the package again")


def playbooks() -> Path:
    """The folder of the entries."""
    return folder() / "playbooks"


def collections() -> Path:
    """The folder that Ansible finds the collection in: one for `ANSIBLE_COLLECTIONS_PATH`."""
    return folder() / "collections"


def collection() -> Path:
    """The folder of the collection itself."""
    return collections() / "ansible_collections" / Path(*COLLECTION.split("."))


def roles() -> Path:
    """The folder of its roles: an old project finds them by their short names, after its own."""
    return collection() / "roles"


def entry_ids() -> tuple[str, ...]:
    """The ids of all entries, sorted."""
    return tuple(sorted(path.parent.name for path in playbooks().glob("*/entry.yml")))
