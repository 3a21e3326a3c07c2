"""The Python of the roles, imported by its path as Ansible would find it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROLES = Path(__file__).parent.parent / "roles"
SHARED = "ansible.module_utils.trusted_paths"


def module_of(path: str) -> ModuleType:
    """A module or filter of a role; what roles share is where their modules look for it."""
    if SHARED not in sys.modules:
        sys.modules[SHARED] = _imported(ROLES / "trusted_paths/module_utils/trusted_paths.py")
    return _imported(ROLES / path)


def shared() -> ModuleType:
    """The code that walks paths by descriptors."""
    module_of("trusted_paths/library/trusted_path.py")
    return sys.modules[SHARED]


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module
