"""What Ansible is on this machine and where it looks: versions, plugin folders, collections.

Ansible itself is asked, once per configuration: only it knows what an ansible.cfg, the
environment and its own defaults come to together.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from runner import shipped
from runner.catalog import document
from runner.child import home
from runner.errors import CatalogError

_SECONDS = 60
_COLLECTIONS = "ANSIBLE_COLLECTIONS_PATH"
#: Not plugins: roles are found by the project's setting, what stands here is never used.
_NO_PLUGINS = frozenset({_COLLECTIONS, "ANSIBLE_ROLES_PATH"})


@dataclass(frozen=True, kw_only=True)
class Collection:
    """One installed collection."""

    name: str  #: `community.general`
    folder: Path

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """What it says of itself; empty for one that was never built, as in a checkout."""
        try:
            content = json.loads((self.folder / "MANIFEST.json").read_bytes())
            return dict(content["collection_info"])
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    @cached_property
    def version(self) -> str:
        """Its version; empty when it does not say."""
        if built := self.manifest.get("version"):
            return str(built)
        # A checkout, or the collection that comes with the runner.
        try:
            return str(document.mapping(self.folder / "galaxy.yml").get("version") or "")
        except ValueError:
            return ""

    @property
    def dependencies(self) -> tuple[str, ...]:
        """Names of the collections that it builds on."""
        needed = self.manifest.get("dependencies")
        return tuple(sorted(needed)) if isinstance(needed, Mapping) else ()


@dataclass(frozen=True)
class Installed:
    """Ansible as a run of the project finds it; asked again when ansible.cfg changed."""

    config: Path | None = None  #: the project's ansible.cfg
    environment: Mapping[str, str] = field(default_factory=dict)  #: `execution.environment`
    _kept: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def versions(self) -> Mapping[str, str]:
        """Version of ansible-core and of what fills in its templates."""
        return dict(self._answer["versions"])

    @property
    def plugin_folders(self) -> Mapping[str, tuple[Path, ...]]:
        """Environment variable → folders of plugins and modules that Ansible looks into."""
        folders = self._answer["folders"]
        return {
            name: tuple(map(Path, paths))
            for name, paths in sorted(folders.items())
            if name not in _NO_PLUGINS
        }

    @property
    def collection_paths(self) -> tuple[Path, ...]:
        """Folders whose `ansible_collections` Ansible looks into, in its order.

        What comes with the runner is first: no older copy of it elsewhere hides a fix.
        """
        others = map(Path, self._answer["collections"])
        return tuple(dict.fromkeys([shipped.collections(), *others]))

    @property
    def redirects(self) -> Mapping[str, list[str]]:
        """Short name of a plugin → collections that Ansible takes it from."""
        return dict(self._answer["redirects"])

    @property
    def collections(self) -> Mapping[str, Collection]:
        """Every installed collection by name; of two copies the one that Ansible takes."""
        return collections_in(self.collection_paths)

    @property
    def _answer(self) -> dict[str, Any]:
        # What it depends on, as far as a file of the project says it.
        try:
            found = self.config.stat() if self.config else None
        except OSError:
            found = None
        state = found and (found.st_ino, found.st_ctime_ns, found.st_mtime_ns, found.st_size)
        if (last := self._kept.get("last")) and last[0] == state:
            return dict(last[1])
        program = Path(__file__).with_name("ask_ansible.py")
        with tempfile.NamedTemporaryFile(suffix=".cfg") as nothing:
            try:
                # The same places as a run's environment: it decides what is found.
                exists = self.config is not None and self.config.is_file()
                done = subprocess.run(
                    [sys.executable, "-P", str(program)],
                    env={
                        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}",
                        "HOME": home(),
                        "LANG": "C.UTF-8",
                        "LC_ALL": "C.UTF-8",
                        "ANSIBLE_CONFIG": str(self.config) if exists else nothing.name,
                        **self.environment,
                    },
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=_SECONDS,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                raise CatalogError(f"Ansible cannot be asked where it looks: {error}") from None
        if done.returncode:
            why = (done.stderr.decode(errors="replace").strip().splitlines() or ["no reason"])[-1]
            where = self.config or "its configuration"
            raise CatalogError(f"{where}: Ansible does not start with it: {why[:300]}")
        answer = dict(json.loads(done.stdout))
        self._kept["last"] = (state, answer)
        return dict(answer)


def collections_in(paths: tuple[Path, ...]) -> Mapping[str, Collection]:
    """The collections below the `ansible_collections` of these folders; the first wins."""
    found: dict[str, Collection] = {}
    for path in paths:
        for folder in sorted((path / "ansible_collections").glob("*/*")):
            name = f"{folder.parent.name}.{folder.name}"
            if all(map(str.isidentifier, name.split("."))) and folder.is_dir():
                found.setdefault(name, Collection(name=name, folder=folder))
    return found
