"""What cannot work where nobody sits at the terminal, and what would outlive its own run.

One check for all: lint and `runner check` name it, and nothing that has it is ever started.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.catalog.connections import refused
from runner.catalog.entry import SECRET, Parameter
from runner.catalog.plays import Play
from runner.catalog.task import Task

_WORD = re.compile(r"[A-Za-z_]\w*")
_WINDOWS = ("ansible.windows.", "community.windows.")
_FREE_TIME = re.compile(r"\b(?:seconds|minutes)\s*=")
_POSITIVE = re.compile(r"0*[1-9][0-9]*")
#: (where it stands, the task), in the order in which Ansible runs them
Placed = tuple[str, Task]


def of_play(place: str, play: Mapping[str, Any]) -> Iterator[str]:
    """What the play itself waits for, a sentence each."""
    if str(play.get("strategy", "")).rpartition(".")[2] == "debug":
        yield f"{place} stops for a person at each failure (strategy: debug); remove it"


def of_prompts(play: Play, answers: Mapping[str, Parameter]) -> Iterator[str]:
    """Prompts that no parameter of the entry answers, or not as a prompt would, a sentence each.

    What is passed is never asked for, but neither is it encrypted, and what is typed unseen must
    not be stored in clear.
    """
    names = [str(prompt.get("name")) for prompt in play.prompts]
    if open_ := [name for name in names if name not in answers]:
        yield (
            f"{play.place} asks for {', '.join(open_)} (vars_prompt), and nobody is there to "
            "answer; make it a parameter of the entry"
        )
    for name, prompt in zip(names, play.prompts, strict=True):
        if (answer := answers.get(name)) is None:
            continue
        said = f"{play.place} asks for {name}"
        if prompt.get("encrypt"):
            yield f"{said} and encrypts the answer, which a passed value is not; pass the hash"
        if answer.required is False and answer.value is None:
            yield f"{said}, so parameters.{name} must not have required: false"
        private = str(prompt.get("private", True)).lower() not in ("false", "no", "off", "0")
        if private and answer.kind not in SECRET and answer.secret is not False:
            yield (
                f"{said} unseen (private), so its value must come from a file or from the "
                f"environment; where it is no secret, write secret: false at parameters.{name}"
            )


def of_keywords(place: str, keywords: Mapping[str, Any]) -> Iterator[str]:
    """What a play, role, block or task waits for by its keywords, or cannot do here."""
    if why := refused(keywords.get("connection")):
        yield f"{place}: {why}"
    if (when := keywords.get("debugger") or "never") != "never":
        yield f"{place} stops for a person (debugger: {when}); remove it"


def of_tasks(tasks: Sequence[Placed], *, may_outlive: bool = False) -> Iterator[str]:
    """What the tasks of one play wait for, leave behind unless they may, or cannot do here."""
    for number, (place, task) in enumerate(tasks):
        if task.written.startswith(_WINDOWS) or task.module.startswith("win_"):
            yield f"{place} is for Windows ({task.written}), which the runner does not support"
        if waits_for_a_person(task):
            yield (
                f"{place} waits for a person (pause without seconds or minutes); "
                "give it a time, or use wait_for"
            )
        if may_outlive or not task.keywords.get("async") or "poll" not in task.keywords:
            continue
        # A template in `poll` may come to 0, so it counts as such.
        polled = _POSITIVE.fullmatch(str(task.keywords["poll"]).strip())
        if not polled and not _is_waited_for(task, [later for _, later in tasks[number + 1 :]]):
            yield (
                f"{place} would outlive the run (async with poll: 0), because no later task "
                "waits for it; register it and wait with async_status"
            )


def waits_for_a_person(task: Task) -> bool:
    """Whether it is a pause that only somebody at the terminal ends."""
    if task.module != "pause":
        return False
    timed = [task.arguments.get(unit) for unit in ("seconds", "minutes")]
    return all(time is None for time in timed) and not _FREE_TIME.search(task.free)


def _is_waited_for(task: Task, later: Sequence[Task]) -> bool:
    """Whether a later `async_status` reads what the task registered, directly or by set_fact."""
    names = {str(task.keywords.get("register") or "")} - {""}
    for other in later:
        words = set(_WORD.findall(str({k: v for k, v in other.keywords.items() if k != "name"})))
        if not names & words:
            continue
        if other.module == "async_status":
            return True
        if other.module == "set_fact":
            names |= {str(name) for name in other.arguments}
    return False
