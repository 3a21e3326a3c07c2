"""`ansible-inventory` is asked once for each content of an inventory, in each process of tests.

A plugin, named in tests/conftest.py. The same files get the same answer, and most tests only need
that there is one. Where it could be another it is asked again: programs, links, secrets, settings
of Ansible. The tests of `ASKING` ask each time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from runner import inventory
from runner.inventory import read_from

Listed = Callable[..., str]

#: What was answered, by what it depends on.
ANSWERS: dict[object, str] = {}
#: The environment of a project that says nothing of it; whatever else there is may change a lot.
PLAIN = {"HOME", "LANG", "PATH"}
#: Their tests are about what it says.
ASKING = ("test_inventory.py", "test_vault.py", "test_warm.py")


def remembering(ask: Listed) -> Listed:
    """Like `ask`, which is called for what is not known. What it raises is not remembered."""

    def listed(paths: tuple[Path, ...], environment: Mapping[str, str], warm: Any = None) -> str:
        content = content_of(paths) if environment.keys() <= PLAIN else None
        if content is None:
            return ask(paths, environment, warm)
        key = (content, frozenset(environment.items()))
        if key not in ANSWERS:
            ANSWERS[key] = ask(paths, environment, warm)
        return ANSWERS[key]

    return listed


def content_of(paths: tuple[Path, ...]) -> object | None:
    """Names and content of all that is read for an inventory; None where they do not say all."""
    found = []
    for top in read_from(paths):
        for path in sorted([top, *top.rglob("*")]):
            if path.is_symlink() or (path.is_file() and os.access(path, os.X_OK)):
                return None
            text = path.read_bytes() if path.is_file() else b""
            if b"$ANSIBLE_VAULT" in text:
                return None
            found.append((path.relative_to(top.parent), path.is_file(), path.is_dir(), text))
    return tuple(found)


ASK = inventory._listed
REMEMBERING = remembering(ASK)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Also for the fixtures of the test."""
    inventory._listed = ASK if item.path.name in ASKING else REMEMBERING
