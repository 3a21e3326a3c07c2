from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.cli.reference import keys, uncommented
from runner.config import ENVIRONMENT, Config, Section, load
from runner.config.problems import section_in
from runner.errors import ConfigError
from runner.incident import Level
from runner.text.plain_yaml import read_yaml

EXAMPLE = Path(__file__).parents[2] / "runner.example.yml"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("RUNNER_")]:
        monkeypatch.delenv(name)


def written(folder: Path, text: str) -> Path:
    path = folder / "runner.yml"
    path.write_text(text)
    return path


def fields(model: type[Section], place: str = "") -> Iterator[str]:
    """The path of every key that may be written."""
    for name, field in model.model_fields.items():
        if name == "root":
            continue
        path = place + (field.alias or name)
        yield path
        if (below := section_in(field.annotation)) is not None:
            yield from fields(below, f"{path}.")


def example() -> str:
    return EXAMPLE.read_text(encoding="utf-8")


def test_every_key_is_in_the_example_and_no_other() -> None:
    assert sorted(path for path, _, _ in keys(example())) == sorted(fields(Config))


def test_every_key_of_the_example_is_explained() -> None:
    assert [path for path, _, said in keys(example()) if not said] == []


def test_the_example_is_the_defaults(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    assert load(written(tmp_path, example())) == load(written(tmp_path, "{}"))
    assert load(written(tmp_path, example())).root == root


def test_the_example_with_every_key_set_loads(tmp_path: Path) -> None:
    content = uncommented(example())
    content["watches"][0].pop("promql")
    path = written(tmp_path, json.dumps(content))
    assert load(path).listen.users[0].name == "ann"


def test_what_the_example_calls_a_default_is_one() -> None:
    wrong = []
    for path, default in defaults(Config):
        value = at(uncommented(example()), path.split("."))
        if value not in (default, str(default)) and path not in EXAMPLES:
            wrong.append((path, value, default))
    assert wrong == []


#: Keys whose value in the example is an example, because it shows how to write one.
EXAMPLES = {
    "model.api_key_file", "model.fallback.api_key_file",
    "project.ansible",
    "store.url_file", "listen.auth.bearer_token_file", "listen.users.bearer_token_file",
    "listen.users.role", "watches.http", "intake.sources.auth.bearer_token_file",
    "intake.sources.confirm.promql", "policy.freeze.days", "policy.budgets.label",
    "notify.receivers.url_file",
}  # fmt: skip


def defaults(model: type[Section], place: str = "") -> Iterator[tuple[str, Any]]:
    """(path, default as YAML holds it) of every key that has one and is no section."""
    for name, field in model.model_fields.items():
        path = place + (field.alias or name)
        if (below := section_in(field.annotation)) is not None:
            yield from defaults(below, f"{path}.")
        elif name != "root" and not field.is_required():
            yield path, plain(model, name)


def plain(model: type[Section], name: str) -> Any:
    value = model.model_fields[name].get_default(call_default_factory=True)
    if isinstance(value, timedelta):
        from runner.text.duration import write

        return write(value)
    if isinstance(value, tuple):
        return [str(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def at(content: Any, path: list[str]) -> Any:
    for key in path:
        content = content[0] if isinstance(content, list) else content
        content = content[key]
    return content


@pytest.mark.parametrize(
    "text",
    [
        "listen: {auth: {bearer_token: hunter2}}",
        "listen: {users: [{name: ann, username: ann, password: hunter2}]}",
        "prometheus: {url: 'http://p.example.com', auth: {bearer_token: hunter2}}",
        "prometheus: {url: 'http://ann:hunter2@p.example.com'}",
        "alertmanagers: [{url: 'http://a', auth: {username: a, password: hunter2}}]",
        "store: {url: 'postgresql://ann:hunter2@db.example.com/runner'}",
        "notify: {receivers: [{name: mail, url: 'mailto://ann:hunter2@example.com'}]}",
        "model: {name: m, api_key: hunter2}",
        "model: {name: m, fallback: {name: n, api_key: hunter2}}",
    ],
)
def test_a_secret_in_the_file_is_refused(tmp_path: Path, text: str) -> None:
    """Invariant 13: secrets come from files or the environment."""
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, text))
    assert "_file" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_secret_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 13."""
    monkeypatch.setenv("RUNNER_WEBHOOK_TOKEN", "hunter2")
    monkeypatch.setenv("RUNNER_STORE_URL", "postgresql://ann:hunter2@db.example.com/runner")
    found = load(written(tmp_path, "level: auto"))
    assert found.listen.auth.bearer() == "hunter2"
    assert "hunter2" not in repr(found)


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    """Invariant 13."""
    (tmp_path / "token").write_text("hunter2\n")
    found = load(written(tmp_path, "listen: {auth: {bearer_token_file: token}}"))
    assert found.listen.auth.bearer() == "hunter2"


def test_the_key_of_a_model_may_come_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 13."""
    (tmp_path / "key").write_text("hunter2\n")
    monkeypatch.setenv("RUNNER_MODEL_API_KEY", "hunter3")
    text = "model: {name: m, fallback: {name: n, api_key_file: key}}"
    model = load(written(tmp_path, text)).model
    assert model is not None and model.fallback is not None
    assert (model.key(), model.fallback.key()) == ("hunter3", "hunter2")
    assert "hunter" not in repr(model)


def test_who_decides_follows_from_the_model(tmp_path: Path) -> None:
    assert load(written(tmp_path, "{}")).deciders == "rules"
    assert load(written(tmp_path, "model: {name: m}")).deciders == "both"
    assert load(written(tmp_path, "{decide: rules, model: {name: m}}")).deciders == "rules"
    with pytest.raises(ConfigError, match="decide: both needs a section model"):
        load(written(tmp_path, "decide: both"))


def test_a_word_of_a_label_is_no_secret(tmp_path: Path) -> None:
    text = "watches: [{name: W, http: 'http://w', labels: {password: rotated}}]"
    assert load(written(tmp_path, text)).watches[0].labels == {"password": "rotated"}


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_variable_names_a_key(name: str) -> None:
    assert ".".join(ENVIRONMENT[name]) in set(fields(Config))


def test_a_heading_with_nothing_below_it_is_its_default(tmp_path: Path) -> None:
    text = "listen:\nwatches:\nprometheus:\nstore: {retention: }\n"
    assert load(written(tmp_path, text)) == load(written(tmp_path, "{}"))


def test_no_ansible_settings_may_be_wanted(tmp_path: Path) -> None:
    found = load(written(tmp_path, "project: {ansible_config: null}"))
    assert found.project.ansible_config is None


def test_a_receiver_is_told_on(tmp_path: Path) -> None:
    text = "notify: {receivers: [{name: a, url: 'json://a.example.com', on: [fixed]}]}"
    assert load(written(tmp_path, text)).notify.receivers[0].on == ("fixed",)


def test_a_freeze_is_written_without_quotes(tmp_path: Path) -> None:
    text = "policy: {freeze: [{name: x, start: 22:00, end: 06:00, from_date: 2026-12-24}]}"
    freeze = load(written(tmp_path, text)).policy.freeze[0]
    assert (freeze.start, freeze.end, freeze.from_date) == ("22:00", "06:00", "2026-12-24")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lisen: {}", "unknown key lisen; did you mean listen?"),
        ("listen: {prot: 1}", "did you mean port?"),
        ("root: /", "unknown key root"),
        ("- a", "must be a mapping"),
        ("a: [", "is not YAML"),
        ("level: auto\nlevel: observe", "written twice"),
        ("store: {retention: {audit: soon}}", "not a duration"),
        ("policy: {budgets: [{}]}", "a budget needs one of label, group and part"),
        ("policy: {budgets: [{group: db, owner: x}]}", "owner x is none of notify.receivers"),
        ("autonomy: {earn: true, window: 91d}", "is longer than store.retention.incidents"),
        ("autonomy: {window: 0s}", "window must be 1h to 365d"),
        ("listen: {host: 0.0.0.0, allow_anonymous: true}", "needs a loopback address"),
    ],
)
def test_what_is_wrong_is_a_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(written(tmp_path, text))
    assert sentence in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "runner.yml"))


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="runner init DIR"):
        load(tmp_path / "runner.yml")


def test_paths_are_seen_from_the_file(tmp_path: Path) -> None:
    found = load(written(tmp_path, "project: {roles: [a, /b]}"))
    assert found.project.roles == (tmp_path.resolve() / "a", Path("/b"))


def test_the_environment_comes_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNNER_LEVEL", "observe")
    assert load(written(tmp_path, "level: auto")).level is Level.OBSERVE


def test_the_example_reads_as_yaml() -> None:
    assert set(read_yaml(example())) <= set(uncommented(example()))
