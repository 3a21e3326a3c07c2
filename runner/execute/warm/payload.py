"""What modules are made of: which `module_utils` each file of Ansible's own imports.

Ansible parses some fifty files to build the first payload of each module in each process. What
it finds in a file depends on its name and text alone, so it is found once here, and used where
both are the same: a project's file in the place of Ansible's is parsed as ever.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

#: What plays use most. For other modules it counts what their pieces have in common with these.
_MODULES = (
    "command", "copy", "file", "find", "get_url", "lineinfile", "package_facts", "service",
    "service_facts", "setup", "slurp", "stat", "systemd_service", "uri", "wait_for",
)  # fmt: skip
#: In every payload, though no module imports them.
_ALWAYS = (
    ("ansible", "module_utils", "basic"),
    ("ansible", "module_utils", "_internal", "_ansiballz", "_loader"),
    ("ansible", "module_utils", "_internal", "_json", "_profiles", "_module_legacy_c2m"),
    ("ansible", "module_utils", "_internal", "_json", "_profiles", "_module_legacy_m2c"),
)

#: Name, whether it is a package, SHA-256 of the text.
Key = tuple[str, bool, bytes]
#: What it imports, and what of that may be missing.
Imports = tuple[set[Any], set[Any]]


class Unparsed:
    """Stands for the syntax tree of a text whose imports are known, should nobody need it."""

    def __init__(self, name: str, source: Any) -> None:
        self.name, self.source = name, source


def known() -> dict[Key, Imports]:
    """The imports of Ansible's own files, as far as `_MODULES` lead."""
    import ansible
    from ansible.executor import module_common

    root = os.path.dirname(os.path.dirname(str(ansible.__file__)))
    found: dict[Key, Imports] = {}
    waiting: set[tuple[str, ...]] = set(_ALWAYS)
    for module in _MODULES:
        name = f"ansible.modules.{module}"
        text = _read(os.path.join(root, *name.split(".")) + ".py")
        tree = module_common._compile_module_ast(name, text)
        waiting |= module_common.ModuleDepFinder(name, tree).submodules
    seen = set()
    while waiting:
        parts = waiting.pop()
        for length in range(len(parts), 2, -1):  # the last of them may be no module at all
            name, path = ".".join(parts[:length]), os.path.join(root, *parts[:length])
            package = os.path.isfile(f"{path}/__init__.py")
            path += "/__init__.py" if package else ".py"
            if name not in seen and os.path.isfile(path):
                seen.add(name)
                text = _read(path)
                tree = module_common._compile_module_ast(name, text)
                finder = module_common.ModuleDepFinder(name, tree, package)
                found[name, package, _digest(text)] = finder.submodules, finder.optional_imports
                waiting |= finder.submodules
    return found


def hand_out(imports: dict[Key, Imports]) -> None:
    """Have Ansible use what is known of files in place of parsing them."""
    from ansible.executor import module_common

    parse, look = module_common._compile_module_ast, module_common.ModuleDepFinder.__init__
    texts = {(name, digest) for name, _, digest in imports}

    def compile_module_ast(name: str, source: Any) -> Any:
        if isinstance(source, bytes) and (name, _digest(source)) in texts:
            return Unparsed(name, source)
        return parse(name, source)

    def find(self: Any, name: str, tree: Any, package: bool = False) -> None:
        if isinstance(tree, Unparsed):
            of = imports.get((name, package, _digest(tree.source)))
            if of is not None:
                self.submodules, self.optional_imports = of
                return
            tree = parse(tree.name, tree.source)
        look(self, name, tree, package)

    module_common._compile_module_ast = compile_module_ast
    module_common.ModuleDepFinder.__init__ = find


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
