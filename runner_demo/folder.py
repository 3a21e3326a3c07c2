"""The demo's project folder: a project like any other, with its own copy of the catalog."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from runner import shipped
from runner.errors import Refused, UsageError
from runner_demo.faults import FAULTS, SERVICE_DOWN
from runner_demo.fleet import BAD, Fleet

MARK = ".runner-demo"
COPIED = ("playbooks", "prompts", "inventories/demo", "ansible.cfg")
_LEVEL = re.compile(r"^level: \w+$", re.MULTILINE)
_HOLD = re.compile(r"^  hold: \w+$", re.MULTILINE)
#: What the demo's stand-in for a model is called.
SCRIPTED = "scripted"
#: How long a fix must hold here; the shipped entries wait longer.
HOLD = "2s"
NOTE = (
    f"in this copy of the catalog a fix must hold for {HOLD} only, "
    "and entries that ship with level approve allow auto"
)


@contextmanager
def claimed(folder: Path) -> Iterator[Path]:
    """`folder`, absolute, empty and ours alone, for as long as the demo lasts.

    What an earlier demo left there is removed. Raises UsageError for a folder that is not
    a demo's, and Refused while another demo uses it.
    """
    folder = folder.absolute()
    if set(str(folder)) & set(",:\n{}%;\"'\\#"):
        raise UsageError(
            f"{folder}: Ansible reads some characters of this path as its own; "
            "choose another with --folder"
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise UsageError(
            f"{folder} holds files that are not of a demo; choose another with --folder"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made ({error.strerror}); choose another with --folder"
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(
                f"Another demo uses {folder}; end it, or choose another with --folder"
            ) from None
        _empty(folder)
        yield folder
    finally:
        os.close(handle)


def _empty(folder: Path) -> None:
    (folder / MARK).touch()
    for place in folder.iterdir():
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        elif place.name != MARK:
            place.unlink()


def furnish(folder: Path, fleet: Fleet, *, level: str, port: int, model: str | None = None) -> Path:
    """Copy the catalog, write the inventory's values and runner.yml; the path of the latter.

    `model` is the address of a model that decides together with the rules.
    """
    for name in COPIED:
        copy(shipped.folder() / name, folder / name)
    for entry in sorted(folder.glob("playbooks/*/entry.yml")):
        entry.write_text(hastened(entry.read_text()))
    ports = {node.name: node.port for node in fleet.nodes.values()}
    values = {"demo_fleet": str(folder / "fleet"), "demo_ports": ports}
    target = folder / "inventories/demo/group_vars/all/fleet.yml"
    target.write_text(as_yaml(values, "Where this demo's fleet lies."))
    path = folder / "runner.yml"
    content = settings(fleet, level=level, port=port)
    if model is not None:
        content["model"] = {"provider": "openai", "name": SCRIPTED, "base_url": model}
    path.write_text(as_yaml(content, "Written by `runner demo`."))
    return path


def hastened(entry: str) -> str:
    """An entry.yml whose fix must hold for HOLD only, and that asks nobody at level auto."""
    return _HOLD.sub(f"  hold: {HOLD}", _LEVEL.sub("level: auto", entry))


def copy(source: Path, target: Path) -> None:
    """Copy a part of the shipped project, without its tests."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", "molecule", "cases")
        shutil.copytree(source, target, ignore=ignored)
    else:
        shutil.copyfile(source, target)


def as_yaml(content: dict[str, Any], comment: str) -> str:
    """The content as a YAML file that begins with the comment."""
    # By way of JSON, because YAML's writer would name what occurs twice.
    plain = json.loads(json.dumps(content))
    return f"---\n# {comment}\n" + yaml.safe_dump(plain, sort_keys=False, width=100)


def settings(fleet: Fleet, *, level: str, port: int) -> dict[str, Any]:
    """The content of the demo's runner.yml.

    It watches each host for each kind of trouble; the alert's name is what the catalog's `match`
    reads.
    """
    faults = {fault.alert: fault for fault in reversed(FAULTS)}
    watches = [
        {
            "name": fault.alert,
            "http": fault.url(node),
            "every": "1s",
            # A restart, too, takes the service away for a moment.
            "for": "2s" if fault.alert == SERVICE_DOWN else "0s",
            "timeout": "2s",
            "labels": {
                "instance": f"{node.name}:{node.port}",
                "service": "app",
                "severity": "critical",
                # Whoever deploys a release also says which one its errors are blamed on.
                **({"release": BAD} if fault.alert == "BadRelease" else {}),
            },
            "annotations": {"summary": f"{fault.title} on {node.name}"},
        }
        for node in fleet.nodes.values()
        for fault in faults.values()
    ]
    return {
        "level": level,
        "environment": "demo",
        "project": {"inventory": ["inventories/demo"]},
        "listen": {"port": port, "allow_anonymous": True},
        "verification": {"poll": "500ms"},
        "approval": {"expires": "10m"},
        "notify": {"console": False},
        "watches": watches,
    }
