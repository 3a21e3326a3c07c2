"""Do something at a named moment of an incident's path; production code knows nothing of it.

Moments: `before:STEP`, `after:STEP` (the engine has not recorded the answer yet), and of the
real run `run:before_intent`, `run:in_intent` (in the transaction), `run:intent` (its row is
there), `run:midway` (Ansible runs), `run:ended`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from runner import remediate
from runner.steps import perform
from runner.store import runs


class Moments:
    """Calls `act` once, when `moment` comes first."""

    def __init__(self, moment: str, act: Callable[[], None]) -> None:
        self._moment = moment
        self._real = False
        self._act = act
        self.came = threading.Event()
        self._guarded = remediate._guarded
        self._run = perform.ansible.run
        self._intend = runs.intend
        remediate._guarded = self._step
        perform.ansible.run = self._real_run  # type: ignore[assignment]
        self._ours = perform._still_ours
        runs.intend, perform._still_ours = self._intent, self._intended

    def undo(self) -> None:
        """Leave everything as it was."""
        remediate._guarded = self._guarded
        perform.ansible.run = self._run
        runs.intend, perform._still_ours = self._intend, self._ours

    def _at(self, name: str) -> None:
        if name == self._moment and not self.came.is_set():
            self.came.set()
            self._act()

    def _step(self, function: Callable[..., Any], incident: int, *args: int) -> Any:
        self._at(f"before:{function.__name__}")
        answer = self._guarded(function, incident, *args)
        self._at(f"after:{function.__name__}")
        return answer

    def _intent(self, tx: Any, run: Any, **options: Any) -> bool:
        self._real = not run.purpose.check
        if self._real:
            self._at("run:before_intent")
        answer = self._intend(tx, run, **options)
        if self._real:
            self._at("run:in_intent")
        return answer

    def _intended(self, *arguments: Any) -> None:
        if self._real:
            self._at("run:intent")
        self._ours(*arguments)

    def _real_run(self, request: Any, **options: Any) -> Any:
        if request.check:
            return self._run(request, **options)
        options["on_started"] = lambda pid, group: self._at("run:midway")
        result = self._run(request, **options)
        self._at("run:ended")
        return result
