"""`runner init`: a folder with everything that a project needs to begin."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import click

import runner
from runner.cli import Verb, option
from runner.cli.report import counted
from runner.cli.session import Session
from runner.errors import RunnerError

#: What of the repository a project begins with. pyproject.toml puts the same into the wheel.
SHIPPED = ("playbooks", "prompts", "roles", "inventories/example", "ansible.cfg")
EXAMPLE = "runner.example.yml"

_IGNORED = ("__pycache__", ".cache", ".ansible")

_GITIGNORE = """\
# State and secrets: neither belongs into a repository.
/var/
/secrets/
*.db
*.db-shm
*.db-wal
"""

_README = """\
# Remediation project

- `runner.yml`: the configuration; every key is explained in it
- `inventories/example`: replace it by your inventory, and name yours in `project.inventory`
- `playbooks`, `roles`: what may be done; `runner catalog new ID` makes another entry
- `prompts`: what a model is told, if you configure one; those that you do not change may go

Begin with

    runner check
    runner catalog list
    runner run restart_service --host HOST --check -p service_restart_unit=UNIT

and let Alertmanager deliver to `runner serve`:

    install -d -m 700 secrets
    openssl rand -hex 24 > secrets/webhook_token

    # runner.yml
    listen:
      auth: {bearer_token_file: secrets/webhook_token}
      users:
        - {name: YOU, role: admin, bearer_token_file: secrets/YOU_token}

    # alertmanager.yml
    receivers:
      - name: runner
        webhook_configs:
          - url: http://127.0.0.1:9095/api/v1/alerts
            send_resolved: true
            http_config: {authorization: {credentials_file: /path/to/webhook_token}}

Nothing is changed on a host before `level` in runner.yml says approve or auto.
"""


@click.command(cls=Verb)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@option("--force", is_flag=True, help="Overwrite existing files.")
@click.pass_obj
def init(session: Session, folder: Path, force: bool) -> None:
    """Create a project folder with the shipped catalog.

    DIR may exist; existing files are kept.
    """
    written: list[Path] = []
    kept: list[Path] = []
    for target, content in sorted(_contents(shipped())):
        (written if _put(folder / target, content, force=force) else kept).append(target)
    if session.json:
        session.answer({"folder": folder, "written": written, "kept": kept})
        return
    session.screen.line(
        f"{folder}: {counted(len(written), 'file')} written, {len(kept)} kept as they were"
    )
    if kept:
        session.note("--force replaces what is kept.")
    session.screen.line(f"  cd {folder} && runner check")


def shipped() -> Path:
    """Where the files lie: in the installed package, or in the repository that it is run from."""
    package = Path(runner.__file__).parent
    for place in (package / "_project", package.parent):
        if (place / EXAMPLE).is_file():
            return place
    raise RunnerError("the shipped catalog is not there; install the package again")


def _contents(source: Path) -> Iterator[tuple[Path, Path | str]]:
    """(path in the new folder, the file to copy or the text)."""
    yield Path("runner.yml"), source / EXAMPLE
    yield Path("README.md"), _README
    yield Path(".gitignore"), _GITIGNORE
    for name in SHIPPED:
        if (source / name).is_file():
            yield Path(name), source / name
        for root, folders, files in os.walk(source / name):
            folders[:] = [each for each in folders if each not in _IGNORED]
            for file in files:
                yield (Path(root) / file).relative_to(source), Path(root) / file


def _put(target: Path, content: Path | str, *, force: bool) -> bool:
    """Write one file; False when it is there already and stays."""
    if os.path.lexists(target):
        if not force:
            return False
        target.unlink()  # a link is replaced, not followed
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            target.write_text(content, encoding="utf-8")
        else:
            shutil.copy(content, target)
    except OSError as error:
        raise RunnerError(f"{target}: cannot be written ({error.strerror})") from None
    return True
