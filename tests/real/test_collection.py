"""The collection as Ansible sees it: metadata, and documentation of each module."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from runner import shipped
from tests.role_code import COLLECTION, ROLES

MODULES = sorted(path.stem for path in (COLLECTION / "plugins/modules").glob("*.py"))


def test_its_metadata_name_it_and_every_role() -> None:
    said = yaml.safe_load((COLLECTION / "galaxy.yml").read_text())
    assert f"{said['namespace']}.{said['name']}" == shipped.COLLECTION
    assert said["dependencies"] == {}  # ansible-core alone has to be enough
    page = (COLLECTION / "README.md").read_text()
    for role in ROLES.iterdir():
        assert f"`{role.name}`" in page, role.name
        systems = yaml.safe_load((role / "meta/main.yml").read_text())["galaxy_info"]["platforms"]
        assert [each["name"] for each in systems] == ["Debian", "Ubuntu"]


@pytest.mark.parametrize(
    "path", sorted(COLLECTION.glob("plugins/module*/*.py")), ids=lambda p: p.stem
)
def test_what_runs_on_hosts_is_understood_by_python_3_8(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 8))):
        # An annotation is never evaluated, a name for a type is.
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript):
            assert ast.unparse(node.value.value) not in ("dict", "list", "set", "tuple"), (
                node.lineno
            )
        if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.BitOr):
            assert not isinstance(node.value, ast.Dict), node.lineno


@pytest.mark.real
def test_each_module_describes_itself_to_ansible_doc() -> None:
    environment = {
        "PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LC_ALL": "C.UTF-8",
        "ANSIBLE_COLLECTIONS_PATH": str(shipped.collections()),
    }  # fmt: skip
    names = [f"{shipped.COLLECTION}.{name}" for name in MODULES]
    program = Path(sys.executable).parent / "ansible-doc"
    done = subprocess.run(
        [program, "--type", "module", "--json", *names],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.keys() == set(names)
    for name, said in found.items():
        assert said["doc"]["short_description"] and said["return"], name
        assert name in said["examples"], name
        assert said["doc"]["attributes"]["check_mode"]["support"] == "full", name
