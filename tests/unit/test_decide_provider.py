"""Providers: each documented configuration is built, and called where its protocol is spoken."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runner import config
from runner.config import Endpoint
from runner.decide import provider
from runner.decide.ledger import Memory
from runner.errors import ConfigError
from runner.incident.model_call import Failure
from runner_demo.model_server import ModelServer
from tests import model_question

PAGE = (Path(__file__).parents[2] / "docs" / "model.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n# runner.yml\n(.*?)```", PAGE, re.DOTALL)
PACKAGES = {
    "anthropic": "langchain_anthropic", "google": "langchain_google_genai",
    "mistral": "langchain_mistralai", "nvidia": "langchain_nvidia_ai_endpoints",
    "ollama": "langchain_ollama",
}  # fmt: skip
#: A package's own affairs: sockets that it leaves to the garbage collector, names it gives up.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:langchain_nvidia_ai_endpoints"),
]


def needs(name: str) -> None:
    """Skip when the extra of this provider is not installed; in CI it must be there."""
    package = PACKAGES.get(name)
    if package is not None and importlib.util.find_spec(package) is None:
        if os.environ.get("CI"):
            pytest.fail(f"{package} is not installed")
        pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.split()[2])
def test_each_documented_configuration_is_built(text: str, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/model_key").write_text("key-of-a-test\n")
    (tmp_path / "runner.yml").write_text(text)
    model = config.load(tmp_path / "runner.yml").model
    assert model is not None
    for endpoint in filter(None, (model, model.fallback)):
        needs(endpoint.provider)
        made = provider.build(endpoint, timeout=5, max_tokens=500)
        assert endpoint.name in (getattr(made, "model", ""), getattr(made, "model_name", ""))


def test_every_provider_has_an_example() -> None:
    named = set(re.findall(r"provider: (\w+)", "\n".join(EXAMPLES)))
    assert named == set(provider._KINDS)


@pytest.mark.parametrize("name", ["mistral", "nvidia", "ollama", "anthropic"])
def test_other_protocols_are_called_for_real(name: str) -> None:
    needs(name)
    memory = Memory()
    with ModelServer("right") as server:
        bare = name in ("ollama", "anthropic")
        changes = {
            "provider": name,
            "timeout": "20s",
            "base_url": server.root if bare else server.url,
        }
        opinion = model_question.decider(server.url, memory, **changes).decide(
            model_question.question()
        )
    assert opinion.decision is not None, opinion.reason
    assert opinion.decision.entry == "restart"
    assert memory.calls[0].output_tokens > 0


@pytest.mark.parametrize("name", ["ollama", "anthropic"])
@pytest.mark.parametrize(
    ("behaviour", "failure"),
    [("malformed", Failure.INVALID), ("500", Failure.SERVER_ERROR), ("401", Failure.DENIED)],
)
def test_failures_have_the_same_names_there(name: str, behaviour: str, failure: Failure) -> None:
    needs(name)
    with ModelServer(behaviour) as server:
        changes: dict[str, Any] = {"provider": name, "base_url": server.root, "timeout": "20s"}
        opinion = model_question.decider(server.url, retries=0, **changes).decide(
            model_question.question()
        )
    assert opinion.failure is failure, opinion.reason


def test_a_key_is_sent_to_its_server_only_and_never_told() -> None:
    """Invariant 13."""
    memory = Memory()
    with ModelServer(["401", "right"]) as server:
        decider = model_question.decider(server.url, memory, api_key="hunter2-hunter2")
        decider.decide(model_question.question())
        assert server.keys == ["Bearer hunter2-hunter2"]
    assert "hunter2" not in str(memory.calls)


def test_without_a_key_of_ours_none_of_the_environment_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Invariant 13: a key for OpenAI does not go to another server."""
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2")
    with ModelServer("right") as server:
        model_question.decider(server.url).decide(model_question.question())
        assert server.keys == ["Bearer none"]


def test_a_provider_without_a_key_or_a_package_is_a_sentence() -> None:
    endpoint = Endpoint(provider="openai", name="m")
    with pytest.raises(ConfigError, match="openai needs a key; set api_key_file"):
        provider.build(endpoint, timeout=1, max_tokens=100)


def test_langchain_is_not_imported_before_a_call() -> None:
    code = (
        "import sys, runner.cli, runner.steps.decide, runner.project;"
        "print([m for m in sys.modules if m.partition('.')[0] in "
        "('langchain', 'langchain_core', 'openai', 'langsmith')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_answer_may_be_text_without_a_schema() -> None:
    with ModelServer("right") as server:
        reply = provider.request(
            model_question.settings(server.url), [("human", "Which nodes need attention?")], None,
            timeout=20, max_tokens=100,
        )  # fmt: skip
    assert reply.failure is None
    assert reply.text.startswith("Scripted: this is no model")
