"""The collection that comes with the runner, and its Python imported as Ansible would find it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

COLLECTION = Path(__file__).parent.parent / "collections/ansible_collections/runner/remediation"
ROLES = COLLECTION / "roles"
SHARED = "ansible_collections.runner.remediation.plugins.module_utils"


def module_of(path: str) -> ModuleType:
    """`modules/NAME.py` or `filter/NAME.py`; what modules share is where they look for it."""
    if SHARED not in sys.modules:
        parts = SHARED.split(".")
        for number in range(1, len(parts) + 1):
            package = ModuleType(".".join(parts[:number]))
            package.__path__ = []
            sys.modules.setdefault(package.__name__, package)
        sys.modules[SHARED].__path__ = [str(COLLECTION / "plugins/module_utils")]
    return _imported(COLLECTION / "plugins" / path)


def shared() -> ModuleType:
    """The code that walks paths by descriptors."""
    module_of("modules/trusted_path.py")
    return sys.modules[f"{SHARED}.trusted_paths"]


def _imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module
