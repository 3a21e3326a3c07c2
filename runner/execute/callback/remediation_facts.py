"""An Ansible callback: what ansible-runner's events do not say of a task.

Whether check mode was off for it, which names it reads and sets, whether check
mode or a condition skipped it, and the host it was delegated to even under
`no_log`. One JSON line each, names only, never a value. It runs inside
ansible-playbook, so it imports nothing of the runner.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from ansible.plugins.callback import CallbackBase  # type: ignore[import-untyped]

DOCUMENTATION = """
name: remediation_facts
type: aggregate
short_description: Task facts for the remediation runner
description: Writes names, never values, to the file that RUNNER_TASK_FACTS names.
"""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_NAMES = 500


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
        names = sorted(set(_IDENTIFIER.findall(str(texts))))[:_MAX_NAMES]
        names = [name for name in names if name != register]
        self._write(
            uuid=str(task._uuid),
            task=task.get_name(),
            reads=names,
            sets=[name for name in (register, *sets) if name],
        )

    def _ended(self, result: Any) -> None:
        fields = result._task_fields
        self._write(
            uuid=str(result._task._uuid),
            host=result._host.get_name(),
            delegate=fields.get("delegate_to") or None,
            check=bool(fields.get("check_mode")),
            skipped=_skipped_by(result._result) if result.is_skipped() else None,
        )

    v2_runner_on_ok = _ended
    v2_runner_on_skipped = _ended
    v2_runner_on_unreachable = _ended
    v2_runner_item_on_ok = _ended
    v2_runner_item_on_failed = _ended
    v2_runner_item_on_skipped = _ended

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._ended(result)


def _skipped_by(result: dict[str, Any]) -> str:
    """`when` for a condition or an empty loop, `check` for check mode."""
    items = [item for item in result.get("results") or () if isinstance(item, dict)]
    reasons = [_skipped_by(item) for item in items]
    if reasons:
        return "check" if "check" in reasons else "when"
    conditional = "false_condition" in result or "skip_reason" in result
    return "when" if conditional or "skipped_reason" in result else "check"
