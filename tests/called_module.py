"""A module of the collection, called as Ansible calls it, and programs that stand in for others."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from tests.role_code import module_of


def called(
    capsys: pytest.CaptureFixture[str], module: str | ModuleType, /, **given: Any
) -> dict[str, Any]:
    """What the module answers; `_ansible_check_mode` is one of its arguments."""
    if isinstance(module, str):
        module = module_of(f"modules/{module}.py")
    with patch_module_args(given), pytest.raises(SystemExit):
        module.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def stand_in(folder: Path, name: str, script: str) -> Path:
    """A program of this name, by a shell script; PATH is the caller's to set."""
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    return program
