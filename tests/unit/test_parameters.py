"""Where the values of role variables come from, and what they may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.catalog.entry import Entry, Parameter
from runner.catalog.parameters import ParameterSpec, agreed, resolve, schema_json, specs_of
from runner.catalog.parameters import chosen as choose
from runner.errors import CatalogError, Refused, RunnerError, UsageError
from runner.inventory.services import Meant


def _entry(**parameters: dict[str, Any]) -> Entry:
    content = {"title": "T", "description": "D", "role": "r", "parameters": parameters}
    return Entry.model_validate(content | {"id": "heal", "folder": Path("playbooks/heal")})


def _resolve(
    parameter: dict[str, Any],
    *,
    labels: dict[str, str] | None = None,
    hostvars: dict[str, Any] | None = None,
    chosen: dict[str, Any] | None = None,
    **spec: Any,
) -> Any:
    """The value of the one parameter `p`."""
    made = resolve(
        _entry(p=parameter),
        {"p": ParameterSpec(name="p", **spec)},
        labels=labels or {},
        hostvars=hostvars or {},
        chosen=chosen or {},
    )
    return made.get("p", "left out")


LABEL = {"from": "label a"}
CHOICE = {"from": "choice"}
INVENTORY = {"from": "inventory v"}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("str", "nginx.service", "nginx.service"),
        ("str", "3", "3"),
        ("int", "3", 3),
        ("int", "-3", -3),
        ("float", "0.5", 0.5),
        ("bool", "yes", True),
        ("bool", "False", False),
        ("bool", "0", False),
        ("list", "a, b", ["a", "b"]),
    ],
)
def test_a_label_becomes_the_type_of_the_variable(kind: str, text: str, value: object) -> None:
    made = _resolve(LABEL, labels={"a": text}, type=kind)
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [("int", "3.0"), ("int", " 3"), ("int", "1_000"), ("int", "٣"), ("int", "9" * 200),
     ("float", "nan"), ("float", "inf"), ("bool", "maybe"), ("bool", "yess"), ("dict", "{}"),
     ("str", "a" * 257), ("str", "a\nb"), ("str", "a\x1b[2J"), ("str", "\u202eabc"),
     ("str", "\ud800")],
)  # fmt: skip
def test_a_label_that_is_something_else_is_refused(kind: str, text: str) -> None:
    """Invariant 5: nothing from outside is bent into a value."""
    with pytest.raises(Refused, match=r"^heal: label a "):
        _resolve(LABEL, labels={"a": text}, type=kind)


def test_a_missing_label_is_refused_when_the_role_requires_it() -> None:
    with pytest.raises(Refused, match="the alert has no label a"):
        _resolve(LABEL, required=True)
    assert _resolve(LABEL) == "left out", "the role's default stands"


def test_a_template_in_a_label_stays_plain_text() -> None:
    """Invariant 5: it is not evaluated here, and execute tags it unsafe."""
    text = "{{ lookup('pipe', 'id') }}"
    assert _resolve(LABEL, labels={"a": text}) == text


def test_only_one_of_the_choices_is_taken() -> None:
    assert _resolve(CHOICE, chosen={"p": "2"}, type="int", choices=(1, 2)) == 2
    with pytest.raises(UsageError, match="p must be one of 1, 2, not '3'"):
        _resolve(CHOICE, chosen={"p": 3}, type="int", choices=(1, 2))


def test_each_item_of_a_list_is_one_of_the_choices() -> None:
    assert _resolve(CHOICE, chosen={"p": ["a"]}, type="list", choices=("a", "b")) == ["a"]
    with pytest.raises(UsageError, match="not 'c'"):
        _resolve(CHOICE, chosen={"p": ["a", "c"]}, type="list", choices=("a", "b"))


def test_a_choice_that_nobody_made_takes_the_entrys_value_or_the_roles_default() -> None:
    assert _resolve(CHOICE | {"value": "x"}) == "x"
    assert _resolve(CHOICE) == "left out"
    with pytest.raises(UsageError, match="heal needs a value for p: The unit"):
        _resolve(CHOICE, required=True, description="The unit.")


def test_a_constant_is_what_the_entry_says() -> None:
    assert _resolve({"from": "constant", "value": 8080}, type="int") == 8080


@pytest.mark.parametrize("name", ["q", "ansible_user", "ansible_connection", "P", "p "])
def test_no_other_name_can_be_chosen(name: str) -> None:
    """Invariant 4: only names listed in the entry are passed, never one beginning ansible_."""
    with pytest.raises(UsageError, match="heal has no parameter"):
        _resolve(CHOICE, chosen={name: "x"})


def test_what_a_label_gives_cannot_be_chosen() -> None:
    """Invariant 4: a person or a model sets what is a choice, and nothing else."""
    with pytest.raises(UsageError, match="p comes from label a and cannot be chosen"):
        _resolve(LABEL, labels={"a": "x"}, chosen={"p": "y"})


def test_an_ansible_name_is_refused_even_if_an_entry_had_it() -> None:
    """Invariant 4: the last gate does not trust the first."""
    parameters = {"ansible_user": Parameter.model_validate(LABEL)}
    entry = _entry().model_copy(update={"parameters": parameters})
    specs = {"ansible_user": ParameterSpec(name="ansible_user")}
    with pytest.raises(Refused, match="ansible_user is not a variable that may be passed"):
        resolve(entry, specs, labels={"a": "x"}, hostvars={}, chosen={})


def test_an_inventory_value_is_read_from_the_host() -> None:
    assert _resolve(INVENTORY, hostvars={"v": 8080}, type="str") == "8080"
    assert _resolve(INVENTORY, hostvars={"v": ["a"]}, type="list") == ["a"]
    with pytest.raises(Refused, match="the inventory has no variable v"):
        _resolve(INVENTORY)


def test_an_inventory_template_is_refused_because_nobody_evaluates_it() -> None:
    with pytest.raises(Refused, match="is a template"):
        _resolve(INVENTORY, hostvars={"v": "{{ base }}/current"})


def test_the_hosts_of_one_run_must_agree() -> None:
    entry = _entry(p=INVENTORY, q=LABEL)
    assert agreed(entry, [{"v": 1, "w": 1}, {"v": 1, "w": 2}]) == {"v": 1}
    assert agreed(entry, [{"v": 1}, {}]) == {}
    assert agreed(entry, []) == {}
    with pytest.raises(Refused, match="variable v differs between the hosts"):
        agreed(entry, [{"v": 1}, {"v": 2}])


def test_the_form_shows_only_what_can_be_chosen() -> None:
    specs = {
        "p": ParameterSpec(name="p", type="int", choices=(1, 2), required=True, description="P."),
        "q": ParameterSpec(name="q", type="list", description="Q."),
        "r": ParameterSpec(name="r"),
    }
    entry = _entry(p=CHOICE, q=CHOICE | {"value": ["a"]}, r=LABEL)
    assert schema_json(entry, specs) == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "p": {"description": "P.", "type": "integer", "enum": [1, 2]},
            "q": {
                "description": "Q.",
                "type": "array",
                "maxItems": 256,
                "items": {"type": "string", "maxLength": 256},
                "default": ["a"],
            },
        },
        "required": ["p"],
    }


def test_specs_are_read_from_the_role(tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "argument_specs.yml").write_text(
        "argument_specs: {main: {options: {p: {type: list, elements: int, choices: [1],"
        " description: [One., Two.], required: true}}}}"
    )
    spec = specs_of(tmp_path)["p"]
    assert (spec.type, spec.elements, spec.choices, spec.required) == ("list", "int", (1,), True)
    assert spec.description == "One. Two."


def test_a_role_without_specs_has_no_variables(tmp_path: Path) -> None:
    assert specs_of(tmp_path) == {}


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "- a",
        "argument_specs: 3",
        "\x00",
        "argument_specs: {main: {options: {p: {choices: 3}}}}",
    ],
)
def test_specs_that_make_no_sense_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "argument_specs.yml").write_text(text)
    with pytest.raises(CatalogError, match=r"argument_specs\.yml: "):
        specs_of(tmp_path)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    value=ANYTHING,
    kind=st.sampled_from(["str", "int", "float", "bool", "list", "dict", "path"]),
    choices=st.sampled_from([(), ("a", "b")]),
)
def test_any_choice_is_a_value_or_a_sentence(value: Any, kind: str, choices: tuple[str]) -> None:
    """Invariant 7: whatever a model answers is checked in code."""
    used = choices if kind == "str" else ()
    try:
        made = _resolve(CHOICE, chosen={"p": value}, type=kind, choices=used)
    except RunnerError as error:
        assert str(error).startswith("heal: p ")
        return
    assert not used or made in used


# Of several labels, and by the table of services.

UNITS = {"from": "label name|service"}


@pytest.mark.parametrize(
    ("labels", "value"),
    [
        ({"name": "nginx.service", "service": "node-exporter"}, "nginx.service"),
        ({"name": "nginx.service"}, "nginx.service"),
        ({"service": "shop"}, "shop"),
        ({"name": "a container", "service": "shop"}, "shop"),
        ({"name": "b" * 300 + ".service", "service": "shop"}, None),
        ({"name": "session-1.scope", "service": "node-exporter"}, None),
        ({"name": "x.service; reboot"}, None),
        ({}, None),
    ],
)
def test_of_several_labels_the_first_that_may_be_the_value_counts(
    labels: dict[str, str], value: str | None
) -> None:
    """Invariant 5: the `service` of a scrape is no unit beside `name`."""
    if value is not None:
        assert _resolve(UNITS, labels=labels, required=True) == value
    else:
        with pytest.raises(Refused, match="label"):
            _resolve(UNITS, labels=labels, required=True)


def _by_table(meant: Meant | None, **chosen: str) -> Any:
    entry = _entry(p={"from": "services"})
    specs = {"p": ParameterSpec(name="p", required=True)}
    return resolve(entry, specs, labels={}, hostvars={}, chosen=chosen, meant=meant)["p"]


def test_a_unit_comes_from_the_services_of_the_host_or_a_person() -> None:
    assert _by_table(Meant("nginx.service", "so")) == "nginx.service"
    assert _by_table(None, p="shop") == "shop"
    with pytest.raises(Refused, match="which unit is meant is not known: two are"):
        _by_table(Meant(None, "two are"))
    with pytest.raises(Refused, match="which unit is meant is not known"):
        _by_table(None)


def test_nobody_but_a_person_by_hand_chooses_the_unit_of_the_table() -> None:
    """Invariant 7: a model's values pass `chosen`, which takes choices only."""
    entry = _entry(p={"from": "services"})
    with pytest.raises(UsageError, match="cannot be chosen"):
        choose(entry, {"p": ParameterSpec(name="p")}, {"p": "sshd"})
    assert schema_json(entry, {"p": ParameterSpec(name="p")})["properties"] == {}


@pytest.mark.parametrize("text", ["label", "label a|", "label |a", "services x", "label  "])
def test_a_source_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="from is"):
        Parameter.model_validate({"from": text})
