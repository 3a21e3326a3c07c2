"""A scripted stand-in for a language model: a real HTTP server that speaks OpenAI's chat API, and
enough of Ollama's and Anthropic's.

It is no model. It reads the schema that it is asked to answer by and the prompt, and answers as
its behaviour says; it serves the demo (`runner demo --model scripted`) and the tests.

    with ModelServer("right") as server:
        Endpoint(provider="openai", name="scripted", base_url=server.url)

A behaviour may be a list: one for each request, the last one for all further. `server.requests`
holds the bodies that came. `server.choose` replaces what `right` answers: a function from Seen to
the id of an entry, `none_of_these` or `need_evidence`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from runner_demo.model_dialects import DIALECTS
from runner_demo.model_script import BEHAVIOURS, Act, Seen, right, seen

MODEL = "scripted-1"
#: How `slow` and `enormous` are, in seconds and bytes.
SLOW_SECONDS = 2.0
ENORMOUS_BYTES = 8 * 1024 * 1024
_PART = 64 * 1024


class ModelServer:
    """The server, on a free port of loopback. It ends with its `with` block or by `stop`."""

    def __init__(
        self,
        behaviour: str | Sequence[str] = "right",
        *,
        choose: Callable[[Seen], str] | None = None,
        port: int = 0,
        slow: float = SLOW_SECONDS,
    ) -> None:
        self.behaviours = [behaviour] if isinstance(behaviour, str) else list(behaviour)
        if unknown := set(self.behaviours) - set(BEHAVIOURS):
            known = ", ".join(sorted(BEHAVIOURS))
            raise ValueError(f"no behaviour is called {sorted(unknown)[0]!r}; known: {known}")
        self.choose = choose or right
        self.slow = slow
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str] = []  #: Authorization headers, to see that none goes elsewhere
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.model = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="model-server", daemon=True
        )

    @property
    def url(self) -> str:
        """What goes into `model.base_url`."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    @property
    def root(self) -> str:
        """The same without the version, for protocols that have none."""
        return self.url.removesuffix("/v1")

    def start(self) -> Self:
        """Answer from now on."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End, and wake what hangs."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.stop()

    def act(self, body: dict[str, Any], path: str, key: str) -> tuple[str, Act]:
        """Note a request; the behaviour that it meets and what is said to it."""
        with self._lock:
            number = len(self.requests)
            self.requests.append(body)
            self.paths.append(path)
            self.keys.append(key)
        name = self.behaviours[min(number, len(self.behaviours) - 1)]
        return name, BEHAVIOURS[name](seen(body), self.choose)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    model: ModelServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some behaviours are for."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the requests are kept."""

    def do_GET(self) -> None:
        """The list of models, which some clients ask for first."""
        models = [{"id": MODEL, "object": "model", "owned_by": "runner demo"}]
        self._send(200, {"object": "list", "data": models})

    def do_POST(self) -> None:
        """One request for an answer."""
        length = int(self.headers.get("Content-Length", 0))
        try:
            body = json.loads(self.rfile.read(length))
        except ValueError:
            return self._send(400, _error("the body is no JSON"))
        dialect = next((d for end, d in DIALECTS.items() if self.path.endswith(end)), None)
        if dialect is None and not self.path.endswith("/chat/completions"):
            return self._send(404, _error(f"there is nothing at {self.path}"))
        model = self.server.model
        asked = dialect.asked(body) if dialect is not None else body
        name, act = model.act(asked, self.path, self.headers.get("Authorization", ""))
        if name == "hangs":
            model.closing.wait()
            return None
        if name == "slow":
            model.closing.wait(model.slow)
        if name == "enormous":
            return self._pour(model)
        if act.status != 200:
            return self._send(act.status, _error(act.text), act.headers)
        if dialect is not None:
            return self._send(200, dialect.answer(body, act, MODEL))
        if body.get("stream"):
            return self._stream(body, act)
        choices = [
            {"index": n, "message": _message(body, act, text), "finish_reason": _finish(body, act),
             "logprobs": None}
            for n, text in enumerate(act.texts)
        ]  # fmt: skip
        head = _envelope(body, "chat.completion")
        return self._send(200, head | {"choices": choices, "usage": _usage(body, act)})

    def _stream(self, body: dict[str, Any], act: Act) -> None:
        """Server-sent events: the message in pieces, then why it ended, then usage."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        head = _envelope(body, "chat.completion.chunk")
        message = _message(body, act, act.texts[0])
        deltas: list[dict[str, Any]] = [{"role": "assistant"}]
        if act.refusal:
            deltas.append({"refusal": act.refusal})
        for call in message.get("tool_calls", ()):
            function = call["function"]
            begun = {"index": 0, **call, "function": function | {"arguments": ""}}
            deltas.append({"tool_calls": [begun]})
            for part in _pieces(function["arguments"]):
                deltas.append({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
        deltas += [{"content": part} for part in _pieces(message["content"] or "")]
        for delta in deltas:
            self._event(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        end = {"index": 0, "delta": {}, "finish_reason": _finish(body, act)}
        self._event(head | {"choices": [end]})
        self._event(head | {"choices": [], "usage": _usage(body, act)})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, content: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(content).encode() + b"\n\n")

    def _pour(self, model: ModelServer) -> None:
        """An answer of many megabytes, as fast as it is read."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b'{"choices":[{"message":{"role":"assistant","content":"')
        for _ in range(ENORMOUS_BYTES // _PART):
            if model.closing.is_set():
                break
            self.wfile.write(b"x" * _PART)
        self.wfile.write(b'"}}]}')
        self.close_connection = True

    def _send(
        self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)


def _error(text: str) -> dict[str, Any]:
    return {"error": {"message": text, "type": "scripted", "code": None}}


def _envelope(body: dict[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-scripted",
        "object": kind,
        "created": int(time.time()),
        "model": MODEL,
        "system_fingerprint": "scripted",
    }


def _message(body: dict[str, Any], act: Act, text: str) -> dict[str, Any]:
    if act.refusal:
        return {"role": "assistant", "content": None, "refusal": act.refusal}
    if (tool := _tool(body)) is None:
        return {"role": "assistant", "content": text, "refusal": None}
    call = {"id": "call_1", "type": "function", "function": {"name": tool, "arguments": text}}
    return {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}


def _tool(body: dict[str, Any]) -> str | None:
    tools = body.get("tools") or []
    return str(tools[0]["function"]["name"]) if tools else None


def _finish(body: dict[str, Any], act: Act) -> str:
    if act.finish != "stop" or act.refusal:
        return act.finish
    return "tool_calls" if _tool(body) else "stop"


def _pieces(text: str, size: int = 32) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


def _usage(body: dict[str, Any], act: Act) -> dict[str, Any]:
    """Counted by a rule of thumb, four characters to a token, as nothing here has tokens."""
    read = sum(len(str(message.get("content") or "")) for message in body.get("messages", ()))
    written = sum(map(len, act.texts))
    return {
        "prompt_tokens": read // 4,
        "completion_tokens": written // 4,
        "total_tokens": read // 4 + written // 4,
    }
