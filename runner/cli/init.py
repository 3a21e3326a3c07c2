"""`runner init`: a folder with everything that a project needs to begin."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import click

from runner import config, shipped
from runner.catalog import ALL, copies
from runner.cli import Verb, option
from runner.cli.report import counted
from runner.cli.session import Session
from runner.errors import RunnerError, UsageError

#: What of the repository a project begins with; the rest is used from where it is installed.
COPIED = ("inventories/example", "ansible.cfg")

_IGNORED = ("__pycache__", ".cache", ".ansible")

_GITIGNORE = """\
# State and secrets: neither belongs into a repository.
/var/
/secrets/
*.db
*.db-shm
*.db-turns
*.db-wal
"""

_README = """\
# Remediation project

- `runner.yml`: the configuration; every key is explained in it
- `inventories/example`: replace it by your inventory, and name yours in `project.inventory`
- `ansible.cfg`: settings of Ansible itself

The entries, roles and prompts come with the runner and are used from there, so that an update of it
reaches them. What you write lies beside them:

- `playbooks`, `roles`: `runner catalog new ID` makes an entry of your own. For the ID of a shipped
  entry it is a copy of that one, which is then used instead.
- `prompts`: a file of your own is used instead of the shipped one of that name

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

To use the shipped roles by `ansible-playbook` itself:

    export ANSIBLE_COLLECTIONS_PATH=$(runner catalog path):collections:~/.ansible/collections

Nothing is changed on a host before `level` in runner.yml says approve or auto.
"""


@click.command(cls=Verb)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@option("--force", is_flag=True, help="Overwrite existing files.")
@option("--upgrade", is_flag=True, help="Remove unchanged copies of shipped files instead.")
@click.pass_obj
def init(session: Session, folder: Path, force: bool, upgrade: bool) -> None:
    """Create a project folder that uses the shipped catalog.

    DIR may exist; existing files are kept. With --upgrade, unchanged copies of shipped entries,
    roles and prompts are removed, so that the shipped ones are used; changed copies stay, and are
    shown as a diff.
    """
    if upgrade and force:
        raise UsageError("--force and --upgrade cannot be combined")
    if upgrade:
        _upgrade(session, folder)
        return
    written: list[Path] = []
    kept: list[Path] = []
    for target, content in sorted(_contents(shipped.folder())):
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


def _contents(source: Path) -> Iterator[tuple[Path, Path | str]]:
    """(path in the new folder, the file to copy or the text)."""
    example = (source / shipped.EXAMPLE).read_text(encoding="utf-8")
    yield Path("runner.yml"), example.replace("  #shipped: []\n", f"  shipped: [{ALL}]\n")
    yield Path("README.md"), _README
    yield Path(".gitignore"), _GITIGNORE
    for name in COPIED:
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


def _upgrade(session: Session, folder: Path) -> None:
    """Remove the copies that nobody changed and nothing needs; show what was changed."""
    settings = config.load(folder / "runner.yml").project
    used = shipped.entry_ids() if ALL in settings.shipped else settings.shipped
    found = copies.find(settings.playbooks, settings.roles, settings.prompts)
    judged = copies.judged(found, used, settings.roles)
    for copy in judged:
        if not copy.stays:
            copies.remove(copy)
    if session.json:
        plain = [
            {"name": copy.title, "release": copy.release, "removed": not copy.stays,
             "reason": copy.stays, "changed": copy.changed, "diff": list(copies.difference(copy))}
            for copy in judged
        ]  # fmt: skip
        session.answer(plain)
        return
    for copy in judged:
        if not copy.stays:
            session.screen.line(f"removed  {copy.title}  unchanged since {copy.release}")
            continue
        session.screen.line(f"kept     {copy.title}  a copy of {copy.release}'s: {copy.stays}")
        for line in copies.difference(copy):
            session.screen.line(f"    {line}")
    missing = sorted(c.path.name for c in judged if c.stays == copies.NOT_USED)
    if missing:
        session.note(f"Add to runner.yml, and repeat: project: {{shipped: [{', '.join(missing)}]}}")
    if not judged:
        session.screen.line(f"{folder} has no copies of shipped files")
