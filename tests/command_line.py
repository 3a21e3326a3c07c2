"""The program as a person calls it: in this process, or as one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from runner.cli import cli

PROGRAM = [sys.executable, "-c", "from runner.cli import main; main()"]


def call(config: Path, *words: object, **settings: Any) -> Result:
    """One command line in this process; a terminal is not there."""
    return CliRunner().invoke(cli, ["--config", str(config), *map(str, words)], **settings)


def answered(config: Path, *words: object) -> Any:
    """What the command says to a program; it must have gone well."""
    result = call(config, *words, "--output", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def environment() -> dict[str, str]:
    """Ours without what would change a command's answer."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RUNNER_")}


def process(config: Path, *words: object, **settings: Any) -> subprocess.CompletedProcess[str]:
    """One command line in a process of its own."""
    return subprocess.run(
        [*PROGRAM, "--config", str(config), *map(str, words)],
        capture_output=True, text=True, timeout=120, env=environment(), **settings,
    )  # fmt: skip
