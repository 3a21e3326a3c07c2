"""Calls of a model in words: a line each, or all that was said."""

from __future__ import annotations

from collections.abc import Sequence

from runner.incident.model_call import ModelCall, Round
from runner.incident_report.screen import Screen


def show_calls(screen: Screen, calls: Sequence[ModelCall], *, whole: bool) -> None:
    """The calls of an incident; nothing where there was none."""
    if not calls:
        return
    screen.heading("Model calls")
    for call in calls:
        screen.line(f"  {_line(call)}")
        if whole:
            gone = "(no longer kept)"
            screen.line(f"    prompt files {call.prompt_hash[:12]}, call {call.id}", "dim")
            if call.round is not Round.REUSED:
                screen.block(call.prompt or gone, "      ")
            screen.line("    answer:", "dim")
            nothing = "(nothing)" if call.failure else gone
            screen.block(call.answer or nothing, "      ")
    if not whole:
        screen.line("  --prompt shows what was said", "dim")


def _line(call: ModelCall) -> str:
    who = f"{call.provider} {call.model}"
    if call.round is Round.REUSED:
        return f"{who}: the answer of call {call.reused} was used again"
    if not call.requests:
        return f"{who} was not asked: {call.failure}: {call.detail}"
    version = f" ({call.version})" if call.version and call.version != call.model else ""
    came = f"{call.failure}: {call.detail}" if call.failure else "answered"
    money = f", {call.money:.4f} spent" if call.money else ""
    tokens = f"{call.input_tokens} + {call.output_tokens} tokens"
    return f"{who}{version}, {call.round}: {came}; {call.seconds:.1f}s, {tokens}{money}"
