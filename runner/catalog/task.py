"""One Ansible task as YAML has it: which module, with what, under which keywords."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

BLOCKS = ("block", "rescue", "always")

#: Keys of a task that are not the module. Names beginning `with_` are loops too.
KEYWORDS = frozenset(
    """
    action any_errors_fatal args async become become_exe become_flags become_method become_user
    changed_when check_mode collections connection debugger delay delegate_facts delegate_to diff
    environment failed_when gather_facts ignore_errors ignore_unreachable listen local_action loop
    loop_control module_defaults name no_log notify poll port register remote_user retries run_once
    tags throttle timeout until vars when
    """.split()
)
_BUILTIN = ("ansible.builtin.", "ansible.legacy.")


@dataclass(frozen=True, kw_only=True)
class Task:
    """`written` is the module's name as written, `module` without Ansible's own prefix."""

    name: str
    written: str
    module: str
    free: str  #: the free-form text after the module's name; empty when there is none
    arguments: Mapping[str, Any]
    keywords: Mapping[str, Any]


def tasks_in(items: Any) -> Iterator[Task]:
    """Every task of a list, those in blocks included."""
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, Mapping):
            continue
        if "block" in item:
            for part in BLOCKS:
                yield from tasks_in(item.get(part))
            continue
        written, value = _action(item)
        module = written
        for prefix in _BUILTIN:
            module = module.removeprefix(prefix)
        arguments: dict[str, Any] = dict(value) if isinstance(value, Mapping) else {}
        if isinstance(extra := item.get("args"), Mapping):
            arguments |= extra
        yield Task(
            name=repr(str(item.get("name") or written or "a task without a name")),
            written=written,
            module=module,
            free=value if isinstance(value, str) else "",
            arguments=arguments,
            keywords=item,
        )


def blocks_in(items: Any) -> Iterator[Mapping[str, Any]]:
    """Every block of a list, at any depth."""
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping) and "block" in item:
            yield item
            for part in BLOCKS:
                yield from blocks_in(item.get(part))


def _action(item: Mapping[Any, Any]) -> tuple[str, Any]:
    """(module, its value); both empty when the task has none."""
    for key in ("action", "local_action"):
        if isinstance(value := item.get(key), Mapping):
            rest = {name: part for name, part in value.items() if name != "module"}
            return str(value.get("module", "")), rest
        if isinstance(value, str):
            module, _, free = value.strip().partition(" ")
            return module, free
    for key, value in item.items():
        if key not in KEYWORDS and not str(key).startswith("with_"):
            return str(key), value
    return "", ""
