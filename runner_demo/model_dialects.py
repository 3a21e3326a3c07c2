"""Two other protocols that the scripted model answers: Ollama's chat and Anthropic's messages.

Each is a pair: their request as one of OpenAI's, and an act as their answer. Only what a single
structured question needs is spoken.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from runner_demo.model_script import Act


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one protocol asks and is answered."""

    asked: Callable[[dict[str, Any]], dict[str, Any]]  #: their request as OpenAI's
    answer: Callable[[dict[str, Any], Act, str], dict[str, Any]]  #: their body, act, model's name


def _ollama_asked(body: dict[str, Any]) -> dict[str, Any]:
    asked: dict[str, Any] = {"messages": body.get("messages", []), "tools": body.get("tools")}
    if isinstance(body.get("format"), dict):
        asked["response_format"] = {"json_schema": {"schema": body["format"]}}
    return asked


def _ollama_answer(body: dict[str, Any], act: Act, model: str) -> dict[str, Any]:
    return {
        "model": model,
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": act.refusal or act.text},
        "done": True,
        "done_reason": act.finish,
        "prompt_eval_count": len(json.dumps(body.get("messages", ""))) // 4,
        "eval_count": len(act.text) // 4,
    }


def _anthropic_asked(body: dict[str, Any]) -> dict[str, Any]:
    system = [{"role": "system", "content": body["system"]}] if body.get("system") else []
    tools = [
        {"function": {"name": tool["name"], "parameters": tool.get("input_schema", {})}}
        for tool in body.get("tools") or ()
    ]
    return {"messages": [*system, *body.get("messages", [])], "tools": tools}


def _anthropic_answer(body: dict[str, Any], act: Act, model: str) -> dict[str, Any]:
    stop = {"length": "max_tokens", "stop": "tool_use"}[act.finish]
    block: dict[str, Any] = {"type": "text", "text": act.refusal or act.text}
    tools = body.get("tools") or []
    if tools and not act.refusal:
        # A tool is called with an object: what is no JSON can only be said as text.
        with suppress(ValueError):
            said = json.loads(act.text)
            block = {"type": "tool_use", "id": "toolu_1", "name": tools[0]["name"], "input": said}
    return {
        "id": "msg_scripted",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [block],
        "stop_reason": "refusal" if act.refusal else stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": len(json.dumps(body.get("messages", ""))) // 4,
            "output_tokens": len(act.text) // 4,
        },
    }


#: By how the path ends.
DIALECTS: dict[str, Dialect] = {
    "/api/chat": Dialect(asked=_ollama_asked, answer=_ollama_answer),
    "/v1/messages": Dialect(asked=_anthropic_asked, answer=_anthropic_answer),
}
