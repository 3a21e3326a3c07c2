from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.intake.peer import PeerStatus
from tests.command_line import call
from tests.local_hosts import needs_ansible
from tests.small_project import make

pytestmark = [
    *needs_ansible,  # the inventory is read by ansible-inventory
    # apprise's mail module imports a module that Python 3.13 drops.
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]


NO_CHECKS: dict[str, Any] = {"verify": {"checks": []}}


def found(path: Path, *words: str) -> tuple[int, list[dict[str, str]]]:
    result = call(path, "check", *words, "--output", "json")
    return result.exit_code, json.loads(result.stdout)


def errors(path: Path, *words: str) -> str:
    code, findings = found(path, *words)
    said = [each["text"] for each in findings if each["level"] == "error"]
    assert code == (3 if said else 0)
    return "\n".join(said)


def project(folder: Path, **settings: Any) -> Path:
    return make(folder, settings=settings)


def test_a_sound_project_is_0(tmp_path: Path) -> None:
    code, findings = found(project(tmp_path))
    assert code == 0
    assert {each["topic"] for each in findings if each["level"] == "ok"} == {
        "configuration", "roles", "catalog", "ansible", "inventory", "prompts", "model", "access"
    }  # fmt: skip


def test_it_changes_nothing(tmp_path: Path) -> None:
    path = project(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    found(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_line_leads_with_how_bad_it_is(tmp_path: Path) -> None:
    lines = call(make(tmp_path, entry=NO_CHECKS), "check").stdout.splitlines()
    assert {line.split()[0] for line in lines} == {"ok", "warn"}


def test_lint_warns(tmp_path: Path) -> None:
    _, findings = found(make(tmp_path, entry=NO_CHECKS))
    warned = [each["text"] for each in findings if each["level"] == "warn"]
    assert any("verify.checks is empty" in text for text in warned)
    said = [each["text"] for each in findings if each["level"] == "ok"]
    assert any("on style: runner catalog lint --strict" in text for text in said)


def test_a_broken_catalog_is_an_error(tmp_path: Path) -> None:
    path = project(tmp_path)
    (tmp_path / "playbooks/mark/entry.yml").write_text("title: x\n")
    assert "entry.yml" in errors(path)


def test_a_broken_inventory_is_an_error(tmp_path: Path) -> None:
    project_ = {"inventory": ["none"], "ansible_config": None}
    assert "is not there" in errors(project(tmp_path, project=project_))


def test_missing_roles_and_prompts_are_errors(tmp_path: Path) -> None:
    settings = {"inventory": ["inventory"], "roles": ["roles", "more"], "prompts": "none"}
    said = errors(project(tmp_path, project=settings))
    assert "more: there is no such folder; see project.roles" in said
    assert "none: there is no such folder; see project.prompts" in said


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("decide_question.md.j2", "{{ labels.shown }}", "shown by _untrusted.md.j2 only"),
        ("decide_question.md.j2", "{{ labels }}", "text from outside enters a prompt by"),
        ("decide_system.md.j2", "{{ nothing }}", "'nothing' is undefined"),
        ("ask_question.md.j2", "{{ question }}", "text from outside enters a prompt by"),
        ("ask_system.md.j2", "{{ nothing }}", "'nothing' is undefined"),
    ],
)
def test_a_prompt_that_cannot_be_used_is_an_error(
    tmp_path: Path, name: str, text: str, why: str
) -> None:
    """Invariant 5: text from outside enters a prompt behind its fence, or not at all."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / name).write_text(text)
    assert why in errors(project(tmp_path))


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ({"name": "m"}, "openai needs a key"),
        ({"name": "m", "api_key_file": "none"}, "the secret file cannot be read"),
        (
            {"name": "m", "base_url": "http://m", "injection": {"patterns": ["("]}},
            "is not a regular",
        ),
        ({"name": "m", "base_url": "http://m", "fallback": {"name": "n"}}, "openai needs a key"),
    ],
)
def test_a_model_that_cannot_be_used_is_an_error(
    tmp_path: Path, model: dict[str, Any], why: str
) -> None:
    assert why in errors(project(tmp_path, model=model))


def test_a_prompt_that_is_no_template_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/decide.j2").write_text("{% if %}")
    settings = {"inventory": ["inventory"], "prompts": "prompts"}
    assert "decide.j2" in errors(project(tmp_path, project=settings))


def test_a_receiver_that_apprise_cannot_use_is_an_error(tmp_path: Path) -> None:
    """Invariant 13: the URL itself is not shown."""
    receivers = [{"name": "chat", "url": "nosuch://hunter2"}, {"name": "log", "url": "json://a"}]
    said = errors(project(tmp_path, notify={"receivers": receivers}))
    assert said == "chat: its url is not one that apprise can use"


def test_a_receiver_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    receivers = [{"name": "chat", "url": "json://a"}] * 2
    assert "two receivers" in errors(project(tmp_path, notify={"receivers": receivers}))


@pytest.mark.parametrize(
    "settings",
    [
        {"prometheus": {"url": "http://p", "auth": {"bearer_token_file": "none"}}},
        {"alertmanagers": [{"url": "http://a", "auth": {"bearer_token_file": "none"}}]},
        {"listen": {"auth": {"bearer_token_file": "none"}}},
        {"notify": {"receivers": [{"name": "a", "url_file": "none"}]}},
        {"store": {"url_file": "none"}},
        {"execution": {"vault_password_file": "none"}},
    ],
)
def test_a_secret_file_that_is_not_there_is_an_error(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    """Invariant 13: a named file that is missing is told before anything starts."""
    assert "none" in errors(project(tmp_path, **settings))


def test_a_webhook_that_nobody_may_use_warns(tmp_path: Path) -> None:
    code, findings = found(project(tmp_path, listen={}))
    assert code == 0
    assert any("Alertmanager cannot deliver" in each["text"] for each in findings)


def test_a_server_that_does_not_answer_is_an_error_online(tmp_path: Path) -> None:
    path = project(tmp_path, prometheus={"url": "http://127.0.0.1:1", "timeout": "1s"},
                   alertmanagers=[{"url": "http://127.0.0.1:1", "timeout": "1s"}])  # fmt: skip
    assert errors(path) == ""
    assert errors(path, "--online").count("127.0.0.1:1") == 2


class Peers:
    def __init__(self, config: str) -> None:
        self.config = config

    def status(self) -> tuple[PeerStatus, ...]:
        return (PeerStatus(url="http://a", version="0.28", cluster="ready", config=self.config),)

    def close(self) -> None:
        pass


def test_alertmanagers_own_settings_are_advised_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = "route: {receiver: runner}\nreceivers: [{name: runner, webhook_configs: [{url: u}]}]"
    monkeypatch.setattr("runner.project.Project.alertmanagers", Peers(config))
    _, findings = found(project(tmp_path, intake={"receiver": "runner"}), "--online")
    said = [each["text"] for each in findings if each["topic"] == "alertmanager"]
    assert said[0] == "http://a: version 0.28, cluster ready"
    assert any("group_by" in text for text in said)


def test_an_entry_that_nobody_may_approve_is_an_error(tmp_path: Path) -> None:
    settings = {"approval": {"approvers": ["ann"]}}
    path = make(tmp_path, settings=settings, entry={"approvers": ["dora"]})
    assert "nobody may approve mark" in errors(path)
    path = make(tmp_path, settings=settings, entry={"approvers": ["ann", "dora"]})
    assert errors(path) == ""


def warned(path: Path, topic: str) -> str:
    _, findings = found(path)
    return "\n".join(
        each["text"] for each in findings if (each["topic"], each["level"]) == (topic, "warn")
    )


def test_files_that_others_may_read_are_named_and_stay_as_they_are(tmp_path: Path) -> None:
    secret, vault = tmp_path / "token", tmp_path / "vault"
    for file in (secret, vault):
        file.write_text("word")
        file.chmod(0o644)
    path = project(
        tmp_path,
        prometheus={"url": "http://127.0.0.1:1", "header_files": {"X-Key": str(secret)}},
        listen={"auth": {"bearer_token_file": str(secret)}},
        execution={"vault_password_file": str(vault)},
    )
    (tmp_path / "var").chmod(0o755)
    (tmp_path / "var/runner.db").chmod(0o644)
    said = warned(path, "files")
    for key in ("prometheus.header_files.X-Key", "listen.auth.bearer_token_file", "store.url",
                "project.state", "execution.vault_password_file"):  # fmt: skip
        assert f"{key}: others may read" in said
    for file in (secret, vault, tmp_path / "var", tmp_path / "var/runner.db"):
        file.chmod(file.stat().st_mode & 0o700)
    assert warned(path, "files") == ""


def test_files_of_tls_and_headers_that_cannot_be_used_are_errors(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("nothing")
    path = project(
        tmp_path,
        http={"ca_file": str(tmp_path / "none.pem")},
        alertmanagers=[{"url": "http://127.0.0.1:1", "ca_file": str(tmp_path / "bad.pem")}],
    )
    said = errors(path)
    assert "http: " in said and "none.pem: cannot be read" in said
    assert "alertmanagers http://127.0.0.1:1: " in said and "bad.pem: does not hold" in said


def test_a_proxy_of_the_environment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    assert "HTTPS_PROXY in the environment is not used" in warned(project(tmp_path), "clients")
    set_ = project(tmp_path, http={"proxy": "http://proxy:1"})
    assert warned(set_, "clients") == ""


def test_a_file_that_no_password_opens_is_named(tmp_path: Path) -> None:
    path = project(tmp_path)
    hidden = tmp_path / "roles/mark/vars/main.yml"
    hidden.parent.mkdir()
    hidden.write_text("$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    assert f"{hidden}: is encrypted, and no password opens it" in warned(path, "vault")


def test_a_vault_password_that_is_missing_is_an_error(tmp_path: Path) -> None:
    path = project(tmp_path, execution={"vault_ids": {"prod": "none"}})
    assert "execution.vault_ids.prod: " in errors(path)
