"""The question to the person at the terminal, which somebody may answer elsewhere meanwhile."""

from __future__ import annotations

import select
import sys
import time
from typing import IO

from runner import acts
from runner.errors import Refused
from runner.incident import Approval
from runner.incident_report import Bundle
from runner.project import Project
from runner_demo.show import Show
from runner_demo.story import event

LOOK = 0.3  #: seconds between two looks whether it was answered elsewhere
_ANSWERS = {"y": "approved", "yes": "approved", "n": "denied", "no": "denied"}


class Asker:
    """Says how to answer from elsewhere, and asks `by` on `terminal` where there is one."""

    def __init__(self, by: str, terminal: IO[str] | None) -> None:
        self._by = by
        self._terminal = terminal
        self._asked: set[int] = set()

    @classmethod
    def here(cls, by: str, *, allowed: bool) -> Asker:
        """On this terminal, if it is one on both sides."""
        both = sys.stdin.isatty() and sys.stdout.isatty()
        return cls(by, sys.stdin if allowed and both else None)

    def wait(self, project: Project, path: str, found: Bundle, show: Show) -> float:
        """Wait a moment for an answer, and hand it in; how many seconds that took."""
        began, question = time.monotonic(), found.approvals[-1]
        if question.id not in self._asked:
            self._asked.add(question.id)
            call = f"runner --config {path} approval"
            ways = [
                f"{call} approve {question.id}",
                f"{call} deny {question.id}",
                f"http://127.0.0.1:{project.config.listen.port}/approvals",
            ]
            show.tell(event("elsewhere", approval=question.id, ways=ways))
            if self._terminal is not None:
                self._prompt()
        if self._terminal is None:
            time.sleep(LOOK)
        elif question.answer is None and select.select([self._terminal], [], [], LOOK)[0]:
            typed = self._terminal.readline() or "n"  # the end of input is a no
            self._answer(project, question, typed, show)
        return time.monotonic() - began

    def _prompt(self) -> None:
        print(f"\n  Shall it run, {self._by.removeprefix('user:')}? [y/n] ", end="", flush=True)

    def _answer(self, project: Project, question: Approval, typed: str, show: Show) -> None:
        answer = _ANSWERS.get(typed.strip().lower())
        if answer is None:
            self._prompt()
            return
        try:
            acts.answer(project, question.id, answer=answer, by=self._by, plan=question.plan)
        except Refused as error:  # it expired, or was answered elsewhere just now
            show.tell(event("note", text=str(error)))
