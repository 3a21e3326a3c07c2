"""What the warm process imports: ansible-core and the plugins that it ships, nothing else.

No play is run and no project is looked at, so nothing of one can leak into a run. What
Ansible would parse anew in each process (plugins' documentation, the routing of its own
collection) is parsed here, and handed to a fork only for the very file that it was made of.
"""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import sys
import types
from pathlib import Path
from typing import Any

from runner.execute.warm import payload

#: Each was compared with a cold process, event by event; with another one every run is cold.
PROVEN = frozenset({"2.19.14"})

_KINDS = (
    "action", "become", "cache", "callback", "connection", "doc_fragments", "filter", "inventory",
    "lookup", "shell", "strategy", "test", "vars",
)  # fmt: skip
#: Imported late by Ansible: they would be imported anew in each fork.
_LATE = (
    "ansible._internal._ansiballz._builder",
    "ansible.cli.inventory",
    "ansible.executor.interpreter_discovery",
    "ansible.executor.module_common",
    "ansible.executor.powershell.module_manifest",
    "ansible.executor.process.worker",
    "ansible.executor.task_executor",
    "ansible.inventory.manager",
    "ansible.playbook.included_file",
    "ansible.playbook.role_include",
    "ansible.playbook.task_include",
    "ansible.utils.collection_loader._collection_finder",
    "ansible.vars.hostvars",
    "ansible.vars.manager",
    "multiprocessing.popen_fork",
    "multiprocessing.queues",
    "multiprocessing.synchronize",
)


class Preload:
    """Ansible as imported, with what was parsed for its forks."""

    def __init__(self) -> None:
        importlib.import_module("ansible.cli.playbook")
        #: What a cold ansible-playbook has imported, too, before it looks for any plugin.
        self._always = frozenset(sys.modules)
        from ansible.plugins import loader

        self._loaders = [found for _, found in loader.get_all_plugin_loaders()]
        for each in self._loaders:
            each.config, each._extra_dirs = [], []  # never a project's
            each._clear_caches()
        for name in _LATE:
            importlib.import_module(name)
        for kind in _KINDS:
            package = importlib.import_module(f"ansible.plugins.{kind}")
            for name in _names(package):
                importlib.import_module(f"ansible.plugins.{kind}.{name}")
        for each in (loader.filter_loader, loader.test_loader):
            list(each.all())  # their modules' names are made of their paths
        self._documented = self._document()
        # The text of Ansible's own routing → what it means.
        import ansible.config
        from ansible.utils.collection_loader import _collection_finder as finder

        folder = os.path.dirname(str(ansible.config.__file__))
        with open(os.path.join(folder, "ansible_builtin_runtime.yml"), "rb") as file:
            text = file.read()
        self._routed = {text: finder._meta_yml_to_dict(text, ("ansible.builtin", "runtime.yml"))}
        self._only_here = frozenset(sys.modules) - self._always
        for each in self._loaders:
            each._clear_caches()
        self._hand_out(loader)
        payload.hand_out(payload.known())

    def _document(self) -> dict[tuple[str, str], Any]:
        """(class, file) → the options that the plugin's documentation defines."""
        from ansible import constants
        from ansible.plugins import get_plugin_class

        found, known = {}, constants.config._plugins
        for each in self._loaders:
            kind = get_plugin_class(each.class_name) if each.class_name else ""
            if kind in constants.CONFIGURABLE_PLUGINS:
                package = importlib.import_module(each.package)
                for name in _names(package):
                    module = importlib.import_module(f"{each.package}.{name}")
                    known.pop(kind, None)
                    each._load_config_defs(name, module, module.__file__)
                    if options := known.get(kind, {}).get(name):
                        found[each.class_name, str(module.__file__)] = options
        from ansible.plugins.loader import callback_loader
        from ansible_runner import display_callback

        # Callbacks that are in every run: the runner's, and ansible-runner's. They are parsed and
        # not imported: ansible-runner's keeps state of the run in which it is.
        folders = [Path(__file__).parents[1], *map(Path, display_callback.__path__)]
        files = [file for folder in folders for file in sorted(folder.glob("callback/*.py"))]
        for file in files:
            if file.name == "__init__.py":
                continue
            texts = {
                getattr(target, "id", ""): str(node.value.value)
                for node in ast.parse(file.read_bytes()).body
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
                for target in node.targets
            }
            said = types.SimpleNamespace(DOCUMENTATION=texts.get("DOCUMENTATION", ""))
            known.pop("callback", None)
            callback_loader._load_config_defs("it", said, str(file))
            if options := known.get("callback", {}).get("it"):
                found["CallbackModule", str(file)] = options
        known.clear()
        return found

    def _hand_out(self, loader: Any) -> None:
        """Each thing that was parsed is used once at most, by a fork, which owns its copy."""
        from ansible import constants
        from ansible.plugins import get_plugin_class
        from ansible.utils.collection_loader import _collection_finder as finder

        define, route = loader.PluginLoader._load_config_defs, finder._meta_yml_to_dict
        load = loader.PluginLoader._load_module_source
        fragments = loader.fragment_loader

        def load_config_defs(self: Any, name: str, module: Any, path: str) -> None:
            kind = get_plugin_class(self.class_name) if self.class_name else ""
            known = constants.config.has_configuration_definition(kind, name)
            # A documentation may be made of others' pieces; where a project has some, it counts.
            if not known and not any(
                map(os.path.isdir, (*fragments._extra_dirs, *fragments.config))
            ):
                options = documented.pop((self.class_name, path), None)
                if options is not None:
                    constants.config.initialize_plugin_configuration_definitions(
                        kind, name, options
                    )
                    return
            define(self, name, module, path)

        def meta_yml_to_dict(text: Any, content_id: Any) -> Any:
            key = text if isinstance(text, bytes) else str(text).encode()
            return routed.pop(key, None) or route(text, content_id)

        def load_module_source(self: Any, *, python_module_name: str, path: str) -> Any:
            # A cold process would not have Ansible's own plugin where a project has one of that
            # name.
            module = sys.modules.get(python_module_name)
            ours = python_module_name in self_only_here
            if ours and getattr(module, "__file__", None) != path:
                del sys.modules[python_module_name]
            return load(self, python_module_name=python_module_name, path=path)

        documented, routed, self_only_here = self._documented, self._routed, self._only_here
        loader.PluginLoader._load_config_defs = load_config_defs
        loader.PluginLoader._load_module_source = load_module_source
        finder._meta_yml_to_dict = meta_yml_to_dict


def _names(package: Any) -> list[str]:
    """The modules of a package, without the one that only says that it is deprecated."""
    found = [each.name for each in pkgutil.iter_modules(package.__path__)]
    return [name for name in found if (package.__name__, name) != ("ansible.plugins.cache", "base")]
