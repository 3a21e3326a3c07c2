"""One request to one model, bounded in time, bytes and tokens; never an exception of its own.

langchain is imported by the first request and not before. Whatever a provider's package
raises becomes a `Failure` with a sentence.
"""

from __future__ import annotations

import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import httpx

from runner.client import first_words, problem, redirect, trust
from runner.config import Client, Endpoint
from runner.config.client import DIRECT
from runner.decide.answer import free_form
from runner.errors import ConfigError
from runner.incident.model_call import Failure
from runner.text import brief

#: role and text, as a chat has them: `system`, `human`, `ai`.
Message = tuple[str, str]

TOOL = "answer"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came back: an answer's text, or why there is none."""

    text: str = ""
    failure: Failure | None = None
    detail: str = ""
    version: str = ""
    finish: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    retry_after: float | None = None  #: what the provider said of when to come back


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """How langchain calls a provider and what its settings are called there."""

    provider: str  #: langchain's name of it
    package: str  #: extra of ours that installs it
    method: str  #: native structured output, or tool calling where there is none
    names: Mapping[str, str]  #: our setting → its argument; what is not here has the same name
    fixed: Mapping[str, Any]


_KINDS: dict[str, _Kind] = {
    "openai": _Kind(
        provider="openai",
        package="",
        method="json_schema",
        names={},
        fixed={"max_retries": 0, "streaming": False},
    ),
    "anthropic": _Kind(
        provider="anthropic",
        package="anthropic",
        method="function_calling",
        names={},
        fixed={"max_retries": 0},
    ),
    "google": _Kind(
        provider="google_genai",
        package="google",
        method="json_schema",
        names={},
        fixed={"max_retries": 1},
    ),
    "mistral": _Kind(
        provider="mistralai",
        package="mistral",
        method="function_calling",
        names={},
        fixed={"max_retries": 0},
    ),
    "nvidia": _Kind(
        provider="nvidia",
        package="nvidia",
        method="function_calling",
        names={"max_tokens": "max_completion_tokens", "timeout": ""},
        fixed={},
    ),
    "ollama": _Kind(
        provider="ollama",
        package="ollama",
        method="json_schema",
        names={"max_tokens": "num_predict", "timeout": "", "api_key": ""},
        fixed={},
    ),
}
_ADDRESS = {"openai": "https://api.openai.com/v1"}
#: Given where a server wants none, so that no package looks for one in the environment.
_NO_KEY = "none"


def build(
    endpoint: Endpoint, *, timeout: float, max_tokens: int, client: httpx.Client | None = None
) -> Any:
    """The chat model of langchain. Sends nothing. Raises ConfigError.

    `client` makes the requests of providers that speak OpenAI's protocol.
    """
    kind, key = _KINDS[endpoint.provider], endpoint.key()
    if key is None and endpoint.base_url is None and endpoint.provider != "ollama":
        raise ConfigError(
            f"model: {endpoint.provider} needs a key; set api_key_file, or RUNNER_MODEL_API_KEY"
        )
    given: dict[str, Any] = {"timeout": timeout, "max_tokens": max_tokens} | dict(kind.fixed)
    given["api_key"] = key or _NO_KEY
    if (address := endpoint.base_url or _ADDRESS.get(endpoint.provider)) is not None:
        given["base_url"] = address
    if endpoint.temperature is not None:
        given["temperature"] = endpoint.temperature
    if endpoint.provider == "openai" and client is not None:
        given["http_client"] = client
    if endpoint.provider == "ollama":
        login = {"Authorization": f"Bearer {key}"} if key else {}
        given["client_kwargs"] = {
            "timeout": timeout,
            "verify": trust(endpoint),
            "proxy": endpoint.way,
            "trust_env": False,
            "follow_redirects": False,
            "headers": endpoint.sent() | login,
        }
    elif endpoint.provider != "openai":
        _refuse_way(endpoint)
    named = {kind.names.get(name, name): value for name, value in given.items()}
    named.pop("", None)
    try:
        from langchain.chat_models import init_chat_model

        return init_chat_model(endpoint.name, model_provider=kind.provider, **named)
    except ImportError:
        raise ConfigError(
            f"model: {endpoint.provider} needs a package; "
            f"install remediation-runner[{kind.package or 'model'}]"
        ) from None
    except Exception as error:
        why = _without(f"{type(error).__name__}: {error}", key)
        raise ConfigError(f"model: {endpoint.provider} cannot be used ({why})") from None


def _refuse_way(endpoint: Endpoint) -> None:
    """Raise ConfigError for what a package that calls its provider by itself would not do."""
    for name in ("ca_file", "cert_file", "proxy", "headers", "header_files"):
        if getattr(endpoint, name) and (name, endpoint.proxy) != ("proxy", DIRECT):
            raise ConfigError(
                f"model: {name} is not for {endpoint.provider}, whose package calls by itself; "
                "set SSL_CERT_FILE or HTTPS_PROXY, or use a gateway with provider openai"
            )


def structured(model: Any, endpoint: Endpoint, schema: Mapping[str, Any]) -> Any:
    """The chat model, held to answer by `schema` where the provider can."""
    if endpoint.provider == "nvidia":  # its with_structured_output hides what the model said
        kept = {
            name: value for name, value in schema.items() if name not in ("title", "description")
        }
        tool = {
            "type": "function",
            "function": {
                "name": TOOL,
                "description": schema.get("description", ""),
                "parameters": kept,
            },
        }
        return model.bind_tools([tool], tool_choice=TOOL)
    kind = _KINDS[endpoint.provider]
    method = kind.method if endpoint.method == "auto" else endpoint.method
    more: dict[str, Any] = {}
    if endpoint.provider == "openai" and method == "json_schema":
        more["strict"] = not free_form(dict(schema))
    return model.with_structured_output(dict(schema), method=method, include_raw=True, **more)


def request(
    endpoint: Endpoint,
    messages: Sequence[Message],
    schema: Mapping[str, Any] | None,
    *,
    timeout: float,
    max_tokens: int,
) -> Reply:
    """One request and its reply, within `timeout` seconds whatever the provider does.

    Without a schema the answer is text; with `json_mode` the prompt must tell the schema. The
    thread that waits is left alone at the deadline: nothing can end a read in a package that
    does not look at the clock.
    """
    key: str | None = None
    try:
        client = CappedClient(timeout, endpoint)
    except ConfigError as error:
        return Reply(failure=Failure.UNAVAILABLE, detail=str(error))
    try:
        key = endpoint.key()
        # Importing takes a while the first time, which is not the provider's fault.
        model = build(endpoint, timeout=timeout, max_tokens=max_tokens, client=client)
        asked = model if schema is None else structured(model, endpoint, schema)
    except Exception as error:
        client.close()
        why = str(error) if isinstance(error, ConfigError) else _detail(error, key)
        return Reply(failure=Failure.UNAVAILABLE, detail=why)
    started = time.monotonic()
    answers: queue.SimpleQueue[Reply] = queue.SimpleQueue()

    def ask() -> None:
        answers.put(_asked(asked, list(messages), client, key))
        _close(model, endpoint)

    client.start()
    threading.Thread(target=ask, name="model-call", daemon=True).start()
    try:
        reply = answers.get(timeout=timeout + 0.5)
    except queue.Empty:
        reply = Reply(failure=Failure.TIMEOUT, detail=f"no answer within {timeout:.3g} seconds")
    return replace(reply, seconds=round(time.monotonic() - started, 3))


def _close(model: Any, endpoint: Endpoint) -> None:
    """End the connections of a package that makes a client of its own for each model."""
    own = {"mistral": ("client",), "ollama": ("_client", "_client")}
    each = model
    for name in own.get(endpoint.provider, ()):
        each = getattr(each, name, None)
    if each is not None and each is not model:
        each.close()


def _asked(asked: Any, messages: list[Message], client: CappedClient, key: str | None) -> Reply:
    from langsmith.run_helpers import tracing_context

    try:
        # Whatever the environment says: what is asked goes to the provider and to nobody else.
        with tracing_context(enabled=False):
            said = asked.invoke(messages)
        return _read(said["raw"] if isinstance(said, dict) else said, client.body())
    except Exception as error:
        return _explained(error, key, client.body())
    finally:
        client.close()


def _read(message: Any, body: bytes) -> Reply:
    """langchain's message as a reply. What it parsed is not looked at: we read the text.

    `body` is the HTTP answer where it went through our client, else empty.
    """
    meta, usage = message.response_metadata or {}, message.usage_metadata or {}
    finish = str(meta.get("finish_reason") or meta.get("stop_reason") or meta.get("done_reason"))
    text = _text(message, body)
    reply = Reply(
        text=text,
        version=str(meta.get("model_name") or meta.get("model") or "")[:120],
        finish=finish[:40],
        input_tokens=_count(usage.get("input_tokens")),
        output_tokens=_count(usage.get("output_tokens")),
    )
    refusal = message.additional_kwargs.get("refusal")
    if refusal or finish.lower() in ("content_filter", "refusal", "safety"):
        why = brief(str(refusal or "the provider's filter stopped it"), 200)
        return replace(reply, failure=Failure.REFUSED, detail=f"it declined: {why}")
    if finish.lower() in ("length", "max_tokens"):
        why = "the answer ended at model.max_tokens"
        return replace(reply, failure=Failure.TRUNCATED, detail=why)
    return reply


def _count(value: Any) -> int:
    """A number of tokens, whatever the provider sent for it."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return min(max(value, 0), 10**9) if whole else 0


def _text(message: Any, body: bytes) -> str:
    """The arguments of the tool call, or the text."""
    # First as they came: parsed, they would hide a name given twice.
    with suppress(ValueError, KeyError, IndexError, TypeError):
        calls = json.loads(body)["choices"][0]["message"]["tool_calls"]
        return str(calls[0]["function"]["arguments"])
    for call in message.additional_kwargs.get("tool_calls") or ():
        return str(call.get("function", {}).get("arguments", ""))
    for call in message.invalid_tool_calls:
        return str(call.get("args") or "")
    for call in message.tool_calls:
        return json.dumps(call["args"])  # most of these send an object, and no text
    return str(message.text)


_BY_STATUS = {
    401: Failure.DENIED,
    403: Failure.DENIED,
    408: Failure.TIMEOUT,
    429: Failure.RATE_LIMITED,
    504: Failure.TIMEOUT,
}
#: By the name of an error's class, the first that fits.
_BY_NAME = (
    ("TooManyBytes", Failure.TOO_LARGE),
    (".*Timeout.*", Failure.TIMEOUT),
    (".*LengthFinish.*", Failure.TRUNCATED),
    (".*(?:ContentFilter|Refusal).*", Failure.REFUSED),
    ("JSONDecodeError|ValidationError|OutputParserException", Failure.INVALID),
    (".*", Failure.UNREACHABLE),
)


def _explained(error: Exception, key: str | None, body: bytes) -> Reply:
    """A failure by what the error carries: no provider's classes are imported for this."""
    response = getattr(error, "response", None)
    statuses = (
        getattr(holder, name, None)
        for holder in (error, response)
        for name in ("status_code", "code")
    )
    status = next((each for each in statuses if isinstance(each, int)), None)
    if status is not None and status >= 400:
        other = Failure.SERVER_ERROR if status >= 500 else Failure.REJECTED
        failure = _BY_STATUS.get(status, other)
    else:
        # And of what caused it: packages wrap the errors of httpx.
        names = {cls.__name__ for cause in _causes(error) for cls in type(cause).__mro__}
        failure = next(
            failure
            for pattern, failure in _BY_NAME
            if any(re.fullmatch(pattern, name) for name in names)
        )
    wait, said = None, ""
    with suppress(TypeError, ValueError):
        headers = getattr(response, "headers", None) or {}
        wait = max(0.0, float(headers.get("retry-after", "")))
    completion: Any = getattr(error, "completion", None)  # of an answer that was cut off
    with suppress(AttributeError, IndexError):
        said = str(completion.choices[0].message.content or "")
    usage = getattr(completion, "usage", None)
    return Reply(
        failure=failure,
        detail=_detail(error, key, body),
        retry_after=wait,
        text=said,
        version=str(getattr(completion, "model", "")),
        finish="length" if completion is not None else str(status or ""),
        input_tokens=_count(getattr(usage, "prompt_tokens", 0)),
        output_tokens=_count(getattr(usage, "completion_tokens", 0)),
    )


def _detail(error: Exception, key: str | None, body: bytes = b"") -> str:
    """What is said of it, with what caused it where a package says no more than `error`, and
    the first words of an answer that is not of the API."""
    if why := problem(error):
        return why
    texts = [str(cause) for cause in _causes(error)]
    if body and not body.lstrip().startswith(b"{"):
        texts.append(first_words(body))
    said = "; ".join(dict.fromkeys(text for text in texts if text))
    return brief(_without(f"{type(error).__name__}: {said}", key), 300)


def _causes(error: Exception) -> list[Exception]:
    """The error and what caused it, five at most."""
    found = [error]
    while len(found) < 5:
        below = found[-1].__cause__ or found[-1].__context__
        if not isinstance(below, Exception):
            break
        found.append(below)
    return found


def _without(text: str, key: str | None) -> str:
    return text.replace(key, "[masked]") if key and len(key) > 3 else text


#: How one request is made; tests and offline cases put their own in its place.
Request = Callable[..., Reply]
#: Bytes of one HTTP answer: far above any answer to a question of ours.
MAX_BYTES = 1024 * 1024


class TooManyBytes(httpx.ReadError):
    """The answer was cut off."""


class CappedClient(httpx.Client):
    """A client for one request, which has `seconds` from `start` on for all of it.

    Its answer ends by bytes and by the clock, not only between two packets.
    """

    def __init__(self, seconds: float, settings: Client | None = None) -> None:
        settings = settings or Client()
        super().__init__(
            timeout=seconds,
            verify=trust(settings),
            proxy=settings.way,
            trust_env=False,
            headers=settings.sent(),
            event_hooks={
                # Compressed bytes would be counted before they grow.
                "request": [lambda sent: sent.headers.update({"Accept-Encoding": "identity"})],
                "response": [self._count],
            },
        )
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._stream: _Counted | None = None

    def start(self) -> None:
        """The time runs from now on."""
        self._until = time.monotonic() + self._seconds

    def body(self) -> bytes:
        """What came back last, as it came."""
        return bytes(self._stream.kept) if self._stream is not None else b""

    def _count(self, response: httpx.Response) -> None:
        if elsewhere := redirect(response.status_code, response.headers.get("location")):
            raise httpx.RequestError(elsewhere)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise TooManyBytes("the answer is compressed, which was not asked for")
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = self._stream = _Counted(response.stream, self._until)


class _Counted(httpx.SyncByteStream):
    def __init__(self, inner: httpx.SyncByteStream, until: float) -> None:
        self._inner = inner
        self._until = until
        self.kept = bytearray()

    def __iter__(self) -> Iterator[bytes]:
        for part in self._inner:
            self.kept += part
            if len(self.kept) > MAX_BYTES:
                raise TooManyBytes(f"the answer has more than {MAX_BYTES} bytes")
            if time.monotonic() > self._until:
                raise httpx.ReadTimeout("the answer came too slowly")
            yield part

    def close(self) -> None:
        self._inner.close()
