"""An Ansible callback: what is shown of a result is short, whatever the host printed.

ansible-runner keeps results beside what is shown, bounded by itself; but the text for the
terminal would hold all of a failed task's output, several times over, and a diff would be
made a second time. It runs inside ansible-playbook, so it imports nothing of the runner.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.callback.default import (
    CallbackModule as Default,
)

DOCUMENTATION = """
name: bounded_display
type: stdout
short_description: Ansible's default output with bounded results
description: Shows each text and list of a result up to a bound, and no diff.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
"""

_TEXT = 4_000  # characters of one text
_ITEMS = 50  # items of one list, keys of one mapping


class CallbackModule(Default):  # type: ignore[misc]
    """The default callback, except for the size of what it shows."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "bounded_display"

    def _dump_results(self, result: Any, *arguments: Any, **options: Any) -> str:
        return str(super()._dump_results(_bounded(result), *arguments, **options))

    def _get_diff(self, difflist: Any) -> str:
        return ""


def _bounded(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _TEXT:
        return f"{value[:_TEXT]} [cut: {len(value)} characters in all]"
    if isinstance(value, list | tuple):
        return [_bounded(item) for item in value[:_ITEMS]]
    if isinstance(value, dict):
        return {key: _bounded(value[key]) for key in list(value)[:_ITEMS]}
    return value
