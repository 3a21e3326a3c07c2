from __future__ import annotations

import json
import math
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import Refused
from runner.execute.environment import closed
from runner.execute.variables import tagged, write_variables
from tests.local_hosts import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_an_empty_limit_cannot_be_expressed(lab: Lab) -> None:
    """Invariant 6: Ansible would take it for every host."""
    with pytest.raises(Refused, match="at least one host"):
        lab.request(lab.play("- debug:"), hosts=())


@pytest.mark.parametrize(
    "host",
    [
        "web*",
        "~web.*",
        "web1:unknown",
        "all:!web2",
        "@/etc/passwd",
        "web1 web2",
        "web1,web2",
        "",
        "all",
        "ungrouped",
        "-v",
        "!web1",
        "&web1",
        "web[1:3]",
        "web?",
        "web1\n",
        "{{ x }}",
        "wéb",
    ],
)
def test_a_pattern_is_not_a_host(lab: Lab, host: str) -> None:
    """Invariant 6: hosts are exact names, never patterns."""
    with pytest.raises(Refused):
        lab.request(lab.play("- debug:"), hosts=(host,))


def test_an_ipv6_name_is_refused_with_what_to_do(lab: Lab) -> None:
    """Invariant 6: a colon separates patterns."""
    with pytest.raises(Refused, match="set ansible_host"):
        lab.request(lab.play("- debug:"), hosts=("2001:db8::1",))


@pytest.mark.parametrize(
    "name",
    ["ansible_connection", "ansible_become_password", "hostvars", "Upper", "a-b", "", "a b", "__é"],
)
def test_a_name_that_steers_ansible_is_never_passed(lab: Lab, name: str) -> None:
    """Invariant 4: refused here as well as in the catalog."""
    with pytest.raises(Refused):
        lab.request(lab.play("- debug:"), variables={name: "x"})


@pytest.mark.parametrize(
    "value",
    [{"{{ x }}": 1}, {"__ansible_vault": "x"}, {"__ansible_unsafe": "x"}, {1: 2}, math.nan,
     math.inf, object(), b"x", "\ud800", "a\0b", {"a": {"b c": 1}}, [10**5000]],
)  # fmt: skip
def test_a_value_that_cannot_be_marked_is_refused(lab: Lab, value: Any) -> None:
    """Invariant 5: keys cannot be tagged, so only plain ones pass."""
    with pytest.raises(Refused):
        lab.request(lab.play("- debug:"), variables={"v": [value]})


def test_a_value_nested_too_deep_is_refused(lab: Lab) -> None:
    """Invariant 14: nesting has a bound."""
    value: list[Any] = []
    for _ in range(1000):
        value = [value]
    with pytest.raises(Refused, match="deep"):
        lab.request(lab.play("- debug:"), variables={"v": value})


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=10,
)


@given(_values)
def test_every_string_at_every_depth_is_tagged(value: Any) -> None:
    """Invariant 5: no bare string is left anywhere."""

    def bare(part: Any) -> bool:
        if isinstance(part, dict) and set(part) == {"__ansible_unsafe"}:
            return False
        if isinstance(part, dict):
            return any(map(bare, part.values()))
        return any(map(bare, part)) if isinstance(part, list) else isinstance(part, str)

    try:
        assert not bare(tagged(value))
    except Refused as refusal:
        assert "NUL" in str(refusal)


def test_the_variables_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """Invariant 13: and it is never written over another."""
    path = tmp_path / "variables.json"
    write_variables(path, {"v": "x"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"v": {"__ansible_unsafe": "x"}}
    with pytest.raises(FileExistsError):
        write_variables(path, {})


def test_the_environment_is_closed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 5: callback plugins and Python code named in ours are not taken over."""
    for name in ("ANSIBLE_CALLBACK_PLUGINS", "PYTHONPATH", "SSH_AUTH_SOCK", "RUNNER_LEVEL"):
        monkeypatch.setenv(name, "/evil")
    variables = closed(lab.request(lab.play("- debug:")), lab.folder)
    assert "/evil" not in " ".join(variables.values())
    assert variables["ANSIBLE_HOST_KEY_CHECKING"] == "True"


def test_the_configuration_may_add_to_the_environment(lab: Lab) -> None:
    given = {"SSH_AUTH_SOCK": "/run/agent", "ANSIBLE_PIPELINING": "False"}
    variables = closed(lab.request(lab.play("- debug:"), environment=given), lab.folder)
    assert given.items() <= variables.items()


def test_the_configuration_may_not_take_the_runs_mark(lab: Lab) -> None:
    """Invariant 2: by this mark a run's processes are found."""
    with pytest.raises(Refused, match="RUNNER_RUN_ID"):
        lab.request(lab.play("- debug:"), environment={"RUNNER_RUN_ID": "1"})


def test_what_ansible_cfg_says_is_not_overridden(lab: Lab) -> None:
    config = lab.write("ansible.cfg", "[ssh_connection]\nssh_args = -J gate\n")
    variables = closed(lab.request(lab.play("- debug:"), ansible_config=config), lab.folder)
    assert "ANSIBLE_SSH_ARGS" not in variables
    assert variables["ANSIBLE_CONFIG"] == str(config)


@pytest.mark.parametrize(
    "given",
    [{"id": "../x"}, {"id": "XYZ"}, {"playbook": Path("p.yml")}, {"inventory": ()},
     {"inventory": (Path("/no/such"),)}, {"inventory": (Path("/a,b"),)}, {"timeout": timedelta()},
     {"hosts": ("web1", "web1")}],
)  # fmt: skip
def test_a_request_that_cannot_be_right_is_refused(lab: Lab, given: dict[str, Any]) -> None:
    """Invariant 5: no path traversal, nothing relative, nothing missing."""
    with pytest.raises(Refused):
        lab.request(**{"playbook": lab.play("- debug:")} | given)
