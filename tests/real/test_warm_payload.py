"""A module's payload is the same, whether its pieces were parsed now or at Ansible's import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.local_hosts import needs_ansible

pytestmark = needs_ansible

#: Builds payloads of the modules that it is told, before and after; says which differ, and how
#: many files were parsed for them each time.
BUILD = """\
import datetime, hashlib, io, json, os, sys, zipfile
import ansible.cli.playbook
from ansible.plugins.loader import init_plugin_loader, module_utils_loader
init_plugin_loader()
import ansible.modules
from ansible._internal._ansiballz._builder import ExtensionManager
from ansible._internal._datatag._tags import Origin
from ansible.executor import module_common
from runner.execute.warm import payload

folder = os.path.dirname(ansible.modules.__file__)
parsed = []
parse = module_common._compile_module_ast


def counting(name, source):
    parsed.append(name)
    return parse(name, source)


def build(name):
    path = f"{folder}/{name}.py"
    with open(path, "rb") as file:
        data = file.read()
    out, now = io.BytesIO(), datetime.datetime(2026, 1, 1)
    with zipfile.ZipFile(out, "w") as archive:
        manager = ExtensionManager.create(task_vars={})
        fqn = module_common._get_ansible_module_fqn(path)
        source = Origin(path=path).tag(data)
        metadata = module_common.recursive_finder(name, fqn, source, archive, now, manager)
        files = [(each.filename, archive.read(each).hex()) for each in archive.infolist()]
    return sorted(files), repr(metadata)


names = json.load(sys.stdin)
if len(sys.argv) > 1:
    module_utils_loader.add_directory(sys.argv[1])
module_common._compile_module_ast = counting
before = {name: build(name) for name in names}
first, parsed[:] = len(parsed), []
module_common._compile_module_ast = parse
known = payload.known()
module_common._compile_module_ast = counting
payload.hand_out(known)
after = {name: build(name) for name in names}
differ = [name for name in names if before[name] != after[name]]
mine = sum("mine" in bytes.fromhex(text).decode() for _, text in after[names[0]][0])
json.dump({"differ": differ, "first": first, "then": len(parsed), "mine": mine}, sys.stdout)
"""


def built(names: list[str], *own: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, *map(str, own)],
        input=json.dumps(names),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_the_payload_of_a_module_is_the_same_and_hardly_anything_is_parsed() -> None:
    found = built(["ping", "setup", "user"])
    assert found["differ"] == []
    assert int(str(found["then"])) * 10 < int(str(found["first"]))


def test_a_projects_piece_in_the_place_of_ansibles_is_in_the_payload(tmp_path: Path) -> None:
    """It is told by its text, not by its name."""
    (tmp_path / "basic.py").write_text(
        "from ansible.module_utils.words import MINE\nclass AnsibleModule: 'mine'\n"
    )
    (tmp_path / "words.py").write_text("MINE = 'mine'\n")
    found = built(["ping"], tmp_path)
    assert found["differ"] == []
    assert int(str(found["mine"])) >= 2


@pytest.mark.nightly
def test_the_payload_of_every_module_is_the_same() -> None:
    import ansible.modules

    files = Path(next(iter(ansible.modules.__path__))).glob("[a-z]*.py")
    names = sorted(file.stem for file in files if b"AnsibleModule(" in file.read_bytes())
    assert len(names) > 40
    assert built(names)["differ"] == []
