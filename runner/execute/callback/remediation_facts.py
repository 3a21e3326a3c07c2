"""An Ansible callback: what ansible-runner's events do not say of a task.

Whether check mode was off for it, or always on; whether it says itself when it changed; which
names it sets and reads from others; whether check mode or a condition skipped it; that an
include was decided; and, even under `no_log`, whether it changed something and the host it was
delegated to. One JSON line each, names only, never a value. It runs inside ansible-playbook, so
it imports nothing of the runner.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: remediation_facts
type: aggregate
short_description: Task facts for the remediation runner
description: Writes names, never values, to the file that RUNNER_TASK_FACTS names.
"""

_INCLUDES = frozenset({"include_tasks", "include_role", "include_vars"})
_NAMING = (
    "name", "file", "dir", "tasks_from", "vars_from", "defaults_from", "handlers_from"
)  # fmt: skip
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Writes a line at each task's start and at each result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "remediation_facts"
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self) -> None:
        super().__init__()
        path = os.environ.get("RUNNER_TASK_FACTS")
        self.disabled = not path
        self._set_before: set[str] = set()
        self._fed: dict[str, bool] = {}  # task → whether it reads what an earlier one set
        self._of_check_mode = {"ansible_check_mode"}  #: and facts that are made of it
        self._file = open(path, "a", buffering=1) if path else None

    def _write(self, **facts: Any) -> None:
        if self._file:
            self._file.write(json.dumps(facts) + "\n")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._started(task)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._started(task)

    def _started(self, task: Any) -> None:
        register = task.register if isinstance(task.register, str) else None
        sets = list(task.args) if task.action.rpartition(".")[2] == "set_fact" else []
        written = task.get_ds() if isinstance(task.get_ds(), dict) else {}
        texts = [text for key, text in written.items() if key not in ("name", "register")]
        texts += [task.args, task.when]  # a block's condition, an included task's arguments
        # Names of earlier results only: other words of a task may be a secret.
        reads = self._set_before & set(_IDENTIFIER.findall(str(texts))) - {register}
        named = [name for name in (register, *sets) if name]
        self._set_before.update(named)
        self._fed[str(task._uuid)] = bool(reads)
        if self._of_check_mode & set(_IDENTIFIER.findall(str(task.args))):
            self._of_check_mode.update(sets)
        self._write(
            uuid=str(task._uuid),
            task=task.get_name(),
            reads=sorted(reads),
            sets=named,
            stated=bool(task.changed_when),
            never=_written_check_mode(task) is True,
            reading=_written_check_mode(task) is False,
            spared=bool(self._of_check_mode & set(_IDENTIFIER.findall(str(task.when)))),
        )

    def v2_playbook_on_include(self, included_file: Any) -> None:
        self._decided(included_file._task)

    def _decided(self, task: Any) -> None:
        """A template in an include was filled in, or facts and inventory left the include out."""
        written = task.get_ds() if isinstance(task.get_ds(), dict) else {}
        for name, given in written.items():
            if str(name).rpartition(".")[2] in _INCLUDES:
                file = str(task.get_path() or "").rpartition(":")[0]
                named = [given]  # the text itself, or its file, folder or role
                if isinstance(given, dict):
                    named = [given[key] for key in _NAMING if given.get(key)]
                for what in named:
                    self._write(file=file, what=str(what))

    def _ended(self, result: Any, skipped: bool = False) -> None:
        if not (skipped and self._fed.get(str(result._task._uuid))):
            self._decided(result._task)
        fields, ended = result._task_fields, result._result
        delegate = fields.get("delegate_to") or None
        if "results" in ended and "{{" in str(delegate):
            delegate = None  # a loop's own delegate_to was never filled in; its items' were
        self._write(
            uuid=str(result._task._uuid),
            host=result._host.get_name(),
            delegate=delegate,
            check=bool(fields.get("check_mode")),
            changed=bool(ended.get("changed")),
            skipped=_skipped_by(ended, skipped),
        )

    v2_runner_on_unreachable = _ended
    v2_runner_item_on_ok = _ended
    v2_runner_item_on_failed = _ended

    def v2_runner_on_ok(self, result: Any) -> None:
        self._ended(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._ended(result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._ended(result, skipped=True)

    def v2_runner_item_on_skipped(self, result: Any) -> None:
        self._ended(result, skipped=True)


def _written_check_mode(task: Any) -> Any:
    """`check_mode` as the nearest of task, blocks and play has it; None when nobody has."""
    place = task
    while place is not None:
        # Ansible's own default, which is what the command line says, is not stored there.
        written = vars(place).get("_check_mode")
        if isinstance(written, bool | str):
            return written
        place = getattr(place, "_parent", None) or getattr(place, "_play", None)
    return None


def _skipped_by(result: dict[str, Any], skipped: bool) -> str | None:
    """`when` for a condition or an empty loop, `check` for check mode, None when it ran."""
    items = [item for item in result.get("results") or () if isinstance(item, dict)]
    reasons = {_skipped_by(item, bool(item.get("skipped"))) for item in items}
    if "check" in reasons:
        return "check"
    if not skipped:
        return None
    known = ("false_condition", "skip_reason", "skipped_reason")
    return "when" if "when" in reasons or any(key in result for key in known) else "check"
