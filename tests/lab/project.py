"""A project folder for the lab's hosts, and a real `runner serve` on it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.lab import layout, watch
from tests.lab.layout import Layout
from tests.lab.shell import LabError

MAIN = "from runner.cli import main; main()"
#: Somebody who may answer questions; the token is good for this lab only.
PERSON = "ann"
_COPIED = ("playbooks", "inventories/lab")
LOG = "serve.log"  #: beside runner.yml
_START_SECONDS = 240.0


def write(lab: Layout, folder: Path, **settings: Any) -> Path:
    """Write the project; its runner.yml. `settings` replace keys of it."""
    ignored = shutil.ignore_patterns("__pycache__", "molecule")
    for name in _COPIED:
        shutil.copytree(layout.REPOSITORY / name, folder / name, ignore=ignored)
    shutil.copy(layout.REPOSITORY / "ansible.cfg", folder)
    state = folder / "inventories/lab/group_vars/all/lab.yml"
    state.write_text(json.dumps({"lab_state": str(lab.state)}))
    token = (lab.monitoring / "webhook_token").read_text()
    for name, secret in (("webhook_token", token), (PERSON, f"{token}-{PERSON}")):
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
    path = folder / "runner.yml"
    path.write_text(json.dumps(_settings() | settings, indent=1))  # JSON is YAML
    for entry in folder.glob("playbooks/*/entry.yml"):
        hasten(entry)
    return path


def _settings() -> dict[str, Any]:
    people = [{"name": PERSON, "role": "admin", "bearer_token_file": PERSON}]
    return {
        "level": "auto",
        "environment": "lab",
        "project": {"inventory": ["inventories/lab"]},
        "listen": {"auth": {"bearer_token_file": "webhook_token"}, "users": people},
        "prometheus": {"url": watch.PROMETHEUS},
        "alertmanagers": [{"url": watch.ALERTMANAGER}],
        "verification": {"poll": "500ms"},
        "policy": {
            "max_runs": "1000/1h",
            "max_runs_per_host": "1000/1h",
            "max_runs_per_part": "1000/1h",
            "cooldown": "0s",
            "breaker": {"failures": 100},
        },
        "notify": {"console": False},
    }


def hasten(entry: Path) -> None:
    """Shorten what an entry waits for: in the lab a minute shows nothing that a second does not."""
    content = yaml.safe_load(entry.read_text())
    content["limits"] = {**content.get("limits", {}), "cooldown": "0s", "max_runs": "1000/1h"}
    content["verify"] = {**content.get("verify", {}), "hold": "1s"}
    entry.write_text(json.dumps(content))


@contextmanager
def serving(lab: Layout, configuration: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`runner serve` as a process of its own, ready, for the time of the block."""
    process = serve(lab, configuration)
    try:
        _ready(process, configuration.with_name(LOG))
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def serve(lab: Layout, configuration: Path, program: str = MAIN) -> subprocess.Popen[bytes]:
    """Start `runner serve`; `program` is the Python that stands for `runner`."""
    with configuration.with_name(LOG).open("ab") as output:
        return subprocess.Popen(
            command(lab, "-c", str(configuration), "serve", program=program),
            cwd=configuration.parent,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def command(lab: Layout, *arguments: str, program: str = MAIN) -> list[str]:
    """The runner's command line, in the control namespace."""
    return ["nsenter", f"--net={lab.namespace}", sys.executable, "-c", program, *arguments]


def environment() -> Mapping[str, str]:
    """Ours, with this checkout's runner."""
    return {**os.environ, "PYTHONPATH": str(layout.REPOSITORY)}


def _ready(process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when it answers. The caller is in the control namespace. Raises LabError."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with direct.open(f"{watch.RUNNER}/healthz", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise LabError(f"`runner serve` does not answer:\n{log.read_text()[-3000:]}")
