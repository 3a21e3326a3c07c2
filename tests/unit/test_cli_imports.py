"""What a plain command imports: people wait for it, and each module here costs a tenth and more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

#: The engine, a dialect, migrations, the web, models, metrics and what acts: no reading command
#: needs them.
HEAVY = frozenset({
    "alembic", "ansible", "ansible_runner", "apprise", "dbos", "fastapi", "httpx", "jinja2",
    "jmespath", "langchain", "langchain_core", "prometheus_client", "psycopg", "psycopg2", "rich",
    "runner.acts", "runner.catalog", "runner.execute", "runner.policy", "runner.steps",
    "sqlalchemy.dialects.postgresql", "sqlalchemy.orm", "starlette", "uvicorn",
})  # fmt: skip

_ASK = """
import json, sys
from runner.cli import cli
try:
    cli.main(sys.argv[1:])
except SystemExit as end:
    print(json.dumps({"code": end.code, "modules": sorted(sys.modules)}), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("project") / "runner.yml"
    path.write_text("level: observe\n")
    _modules(path, "incident", "list")  # makes the store
    return path


def _modules(config: Path, *command: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _ASK, "--config", str(config), *command],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    said = json.loads(done.stderr.splitlines()[-1])
    assert said["code"] == 0, done.stderr
    return set(said["modules"])


@pytest.mark.parametrize(
    "command",
    [("--version",), ("incident", "list"), ("incident", "list", "--open"), ("approval", "list")],
    ids=" ".join,
)
def test_a_command_that_reads_imports_nothing_heavy(config: Path, command: tuple[str, ...]) -> None:
    assert not HEAVY & _modules(config, *command)


def test_help_imports_no_command_and_no_store(config: Path) -> None:
    found = _modules(config, "--help")
    assert not {"sqlalchemy", "pydantic", "yaml"} & found


def test_who_serves_imports_no_numbers_library_unless_nodes_are_watched() -> None:
    """It is an extra, and seventeen megabytes."""
    ask = "import runner.daemon, runner.web.app, sys; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ask], timeout=120).returncode == 0
