"""Plays a scenario of a role as `molecule test` does, for a third less of processor time.

The configuration, the playbooks, their order and what is asked of each are molecule's; the
steps are forks of one process that has Ansible imported. `make nightly` plays the same
scenarios by molecule itself.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Container
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
CONFIGURATION = ROOT / ".config/molecule/config.yml"
#: Folders that may hold copies, or a lab with whole systems.
NO_ROLES = ("build", "dist", "tests", "var")
#: Step of a sequence → (playbook, options of `ansible-playbook`)
STEPS = {
    "prepare": ("prepare", ()),
    "check": ("converge", ("--check",)),
    "converge": ("converge", ()),
    "idempotence": ("converge", ("--skip-tags=molecule-idempotence-notest",)),
    "verify": ("verify", ()),
    "cleanup": ("cleanup", ()),
}
#: Reads lists of words, one for each call of `ansible-playbook`, until one fails.
_FORKING = """
import json, os, sys
from ansible.cli.playbook import PlaybookCLI
for words in json.load(sys.stdin):
    print("STEP", *words, flush=True)
    if (child := os.fork()) == 0:
        PlaybookCLI.cli_executor(words)
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(f"It ended with {code}.")
"""


def every() -> list[Path]:
    """The `molecule.yml` of each scenario, wherever the roles are."""
    tops = [each for each in ROOT.iterdir() if each.name[0] != "." and each.name not in NO_ROLES]
    return sorted(path for top in tops for path in top.glob("**/molecule/*/molecule.yml"))


def name(scenario: Path) -> str:
    """ROLE-SCENARIO"""
    return f"{scenario.parents[2].name}-{scenario.parent.name}"


def environment(scenario: Path, scratch: Path) -> dict[str, str]:
    """Of molecule, and of the playbooks that it plays."""
    return {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": os.environ["HOME"],
        "LC_ALL": "C.UTF-8",
        "NO_COLOR": "1",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(scratch),
        "MOLECULE_PROJECT_DIRECTORY": str(scenario.parents[2]),
        "RUNNER_LAB_STATE": str(scratch / "lab"),
    }


def play(scenario: Path, scratch: Path, *, without: Container[str] = ()) -> str:
    """The sentence that says what failed, with the output before it; empty when nothing did.

    `without` are steps that are left out.
    """
    variables = environment(scenario, scratch)
    text = re.sub(r"\$\{(\w+)}", lambda found: variables[found[1]], CONFIGURATION.read_text())
    settings = _laid_over(yaml.safe_load(text), yaml.safe_load(scenario.read_text()) or {})
    provisioner = settings["provisioner"]
    sequence = [each for each in settings["scenario"]["test_sequence"] if each not in without]
    inventory = scratch / "inventory.yml"
    hosts: dict[str, Any] = {each["name"]: {} for each in settings["platforms"]}
    inventory.write_text(
        json.dumps({"all": {"hosts": hosts, "vars": provisioner["inventory"]["group_vars"]["all"]}})
    )
    (scratch / "ansible.cfg").write_text("[defaults]\nretry_files_enabled = false\nnocows = true\n")
    calls = []
    for playbook, options in map(STEPS.__getitem__, sequence):
        path = provisioner["playbooks"].get(playbook, scenario.with_name(f"{playbook}.yml"))
        calls.append(["ansible-playbook", f"--inventory={inventory}", *options, str(path)])
    done = subprocess.run(
        [sys.executable, "-c", _FORKING],
        cwd=scenario.parents[2],
        env=variables | provisioner["env"] | {"ANSIBLE_CONFIG": str(scratch / "ansible.cfg")},
        input=json.dumps(calls),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return _failure(sequence, done)


def _failure(sequence: list[str], done: subprocess.CompletedProcess[str]) -> str:
    """Of a sequence that was played; empty when every step did what it should."""
    _, *said = done.stdout.split("STEP ansible-playbook")
    for step, output in zip(sequence, said, strict=False):
        if step == "idempotence" and re.search(r"changed=[1-9]", output):
            return f"{output}\nThe second run has changed something."
    if done.returncode or len(said) != len(sequence):
        return f"{done.stdout}\nThe scenario stopped at step {len(said)} of {sequence}."
    return ""


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """As molecule does it: mappings are merged, anything else is replaced."""
    made = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(made.get(key), dict)
        made[key] = _laid_over(made[key], value) if both else value
    return made
