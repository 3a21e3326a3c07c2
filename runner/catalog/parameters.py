"""Role variables: what they may be (argument_specs.yml) and where their values come from.

Values stay plain data here; whoever writes them for Ansible tags them unsafe.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from runner.catalog import document
from runner.catalog.convert import TYPES, convert
from runner.catalog.entry import SECRET, Entry, Parameter
from runner.catalog.from_alert import MeantUnit, from_label, unresolved
from runner.errors import CatalogError, Refused, RunnerError, UsageError
from runner.text.matcher import compiled

MAX_TEXT = 256  #: characters of one text from outside
MAX_ITEMS = 256  #: of one list or mapping from outside
MAX_DEPTH = 4
BY_HAND = ("choice", "services")  #: kinds of parameters whose value a person may give


_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, direction, surrogates, line ends
_JSON_TYPES = {"int": "integer", "float": "number", "bool": "boolean", "list": "array"}


@dataclass(frozen=True, kw_only=True)
class ParameterSpec:
    """One variable of a role, as its argument_specs.yml has it."""

    name: str
    type: str = "str"
    elements: str = "str"  #: of a list
    choices: tuple[Any, ...] = ()
    required: bool = False
    description: str = ""
    pattern: str = ""  #: RE2, of a whole text; empty for any text
    least: float | None = None
    most: float | None = None
    keys: frozenset[str] = field(default=frozenset(), compare=False)  #: as written, for lint


Specs = Mapping[str, ParameterSpec]


def specs_of(role: Path) -> dict[str, ParameterSpec]:
    """The variables of the role in this folder; empty when it states none.

    Raises CatalogError with a sentence when the file cannot be understood.
    """
    path = spec_file(role)
    if path is None:
        return {}
    specs: dict[str, ParameterSpec] = {}
    try:
        section: Any = document.mapping(path, ansible=True)
        for key in ("argument_specs", "main", "options"):
            section = section.get(key) or {}
            if not isinstance(section, dict):
                raise ValueError(f"{key} must be a mapping")
        for name, option in section.items():
            if not isinstance(option, dict):
                raise ValueError(f"{name} must be a mapping with type and description")
            choices = option.get("choices") or ()
            if not isinstance(choices, list | tuple):
                raise ValueError(f"the choices of {name} must be a list")
            text = option.get("description") or ""
            lines = text if isinstance(text, list) else [text]
            specs[str(name)] = ParameterSpec(
                name=str(name),
                type=str(option.get("type", "str")),
                elements=str(option.get("elements", "str")),
                choices=tuple(choices),
                required=option.get("required") is True,
                description=" ".join(str(line).strip() for line in lines),
                keys=frozenset(str(key) for key in option),
            )
    except ValueError as error:
        raise CatalogError(f"{path}: {error}") from None
    return specs


def spec_file(role: Path) -> Path | None:
    """The argument_specs file of the role, or None."""
    paths = (role / "meta" / f"argument_specs.{suffix}" for suffix in ("yml", "yaml"))
    return next((path for path in paths if path.is_file()), None)


def problems(entry: Entry, specs: Specs, *, inline: bool = False) -> list[str]:
    """What is wrong with the entry's parameters, a sentence each, seen before any incident.

    `inline`: the specs are the entry's own.
    """
    found = []
    for name, parameter in entry.parameters.items():
        spec = specs.get(name)
        if spec is None:
            known = _near(name, specs)
            found.append(f"parameters.{name}: role {entry.role} has no such variable{known}")
        elif parameter.inline and not inline:
            key = parameter.inline[0]
            found.append(f"parameters.{name}.{key}: the role's argument_specs say this; remove it")
        elif why := _misuse(parameter, spec):
            found.append(f"parameters.{name}: {why}")
    missing = [s.name for s in specs.values() if s.required and s.name not in entry.parameters]
    return found + [
        f"parameters.{name}: role {entry.role} requires it; say where its value comes from"
        for name in missing
    ]


def _misuse(parameter: Parameter, spec: ParameterSpec) -> str:
    if spec.type not in TYPES or (spec.type == "list" and spec.elements not in TYPES):
        return f"its type {spec.type} cannot be passed; use one of {', '.join(TYPES)}"
    try:
        choices_of(spec)
    except ValueError as error:
        return f"each of its choices in the role's argument_specs {error}"
    if (parameter.pattern and "str" not in (spec.type, spec.elements) and spec.type != "path") or (
        (spec.least, spec.most) != (None, None) and spec.type not in ("int", "float")
    ):
        return "pattern is for texts, min and max are for numbers"
    if parameter.kind == "constant" and parameter.value is None:
        return "a constant needs value"
    given = ("label", "services", "inventory", "host", *SECRET)
    if parameter.kind in given and parameter.value is not None:
        return f"value belongs to constant and choice, not to {parameter.kind}; remove it"
    if parameter.value is None:
        return ""
    try:
        checked(parameter.value, spec)
    except ValueError as error:
        return f"value {error}"
    return ""


def checked(value: Any, spec: ParameterSpec) -> Any:
    """`value` as the variable's type and one of its choices. Raises ValueError, a predicate."""
    made = convert(value, spec.type, spec.elements)
    if spec.choices:
        allowed = choices_of(spec)
        for item in made if isinstance(made, list) else [made]:
            if item not in allowed:
                written = ", ".join(str(choice) for choice in spec.choices)
                raise ValueError(f"must be one of {written}, not {str(item)[:60]!r}")
    for item in made if isinstance(made, list) else [made]:
        _within(item, spec)
    return made


def _within(value: Any, spec: ParameterSpec) -> None:
    """Raise ValueError, a predicate, for a text beside the pattern and a number out of bounds."""
    if spec.pattern and isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        if compiled(spec.pattern).fullmatch(text) is None:
            raise ValueError(f"must match {spec.pattern}, not {value[:60]!r}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if spec.least is not None and value < spec.least:
            raise ValueError(f"must be at least {spec.least:g}, not {value}")
        if spec.most is not None and value > spec.most:
            raise ValueError(f"must be at most {spec.most:g}, not {value}")


def choices_of(spec: ParameterSpec) -> list[Any]:
    """The choices as values of the variable's type. Raises ValueError, a predicate."""
    kind = spec.elements if spec.type == "list" else spec.type
    return [convert(choice, kind) for choice in spec.choices]


def agreed(entry: Entry, hosts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The host variables that the entry reads, which must be the same on all `hosts`.

    Raises Refused when they differ. A variable that one host lacks is left out.
    """
    everywhere = list(hosts)
    values: dict[str, Any] = {}
    for parameter in entry.parameters.values():
        if parameter.kind != "inventory":
            continue
        name = parameter.name
        if any(name not in variables for variables in everywhere) or not everywhere:
            continue
        if any(variables[name] != everywhere[0][name] for variables in everywhere):
            raise Refused(
                f"{entry.id}: the inventory variable {name} differs between the hosts; "
                "run it host by host"
            )
        values[name] = everywhere[0][name]
    return values


def resolve(
    entry: Entry,
    specs: Specs,
    *,
    labels: Mapping[str, str],
    hostvars: Mapping[str, Any],
    chosen: Mapping[str, Any],
    places: Mapping[str, str] = MappingProxyType({}),
    meant: MeantUnit | None = None,
) -> dict[str, Any]:
    """The values of the entry's variables, and of nothing else.

    `chosen` holds what a person or the model picked, for `choice` parameters, and the unit that a
    person named by hand; `places` the inventory names of target, spare and peer, as far as the plan
    has them; `meant` the unit that the alert means on its hosts. A choice that nobody made, and a
    label that is not there, are left to the role's default unless the role requires them. Raises
    UsageError for what was chosen, Refused for what a label or the inventory gave, a sentence each.
    """
    _only_choices(entry, chosen, BY_HAND)
    values: dict[str, Any] = {}
    for name, parameter in entry.parameters.items():
        spec = specs.get(name)
        if spec is None or name.startswith("ansible_"):
            raise Refused(f"{entry.id}: {name} is not a variable that may be passed")
        if parameter.kind in SECRET:
            continue  # read when the run starts, see `secret_values`
        if _left_to_the_role(entry, parameter, spec, labels, chosen):
            continue
        if parameter.kind != "host":
            values[name] = _value(entry, parameter, spec, labels, hostvars, chosen, meant)
        elif parameter.name in places:
            values[name] = places[parameter.name]
        else:
            raise Refused(f"{entry.id}: the plan has no {parameter.name}, whose name it needs")
    return values


def unbounded(entry: Entry, specs: Specs) -> list[str]:
    """Parameters that would take any path or mapping from outside, a sentence each."""
    found = []
    for name, parameter in entry.parameters.items():
        spec = specs.get(name)
        if spec is None or parameter.kind not in ("label", "services", "choice"):
            continue
        if spec.type in ("path", "dict") and not spec.choices and not spec.pattern:
            where = "the role's argument_specs" if entry.role else "entry.yml"
            more = "choices" if entry.role or spec.type == "dict" else "choices or a pattern"
            text = f"a free {spec.type} must not come from outside; give it {more} in {where}"
            found.append(f"parameters.{name}: {text}")
    return found


def _left_to_the_role(
    entry: Entry,
    parameter: Parameter,
    spec: ParameterSpec,
    labels: Mapping[str, str],
    chosen: Mapping[str, Any],
) -> bool:
    """Whether the role's default stands. Raises UsageError for a choice that must be made."""
    if parameter.kind == "label":
        return not spec.required and not any(map(labels.get, parameter.labels))
    if parameter.kind != "choice" or spec.name in chosen or parameter.value is not None:
        return False
    if spec.required:
        raise UsageError(f"{entry.id} needs a value for {spec.name}: {spec.description}")
    return True


def _only_choices(
    entry: Entry, chosen: Mapping[str, Any], kinds: Collection[str] = ("choice",)
) -> None:
    choosable = {name: p for name, p in entry.parameters.items() if p.kind in kinds}
    for name in chosen:
        if name in choosable:
            continue
        if name in entry.parameters:
            source = entry.parameters[name].from_
            raise UsageError(f"{entry.id}: {name} comes from {source} and cannot be chosen")
        raise UsageError(f"{entry.id} has no parameter {name[:60]!r}{_near(name, choosable)}")


def _value(
    entry: Entry,
    parameter: Parameter,
    spec: ParameterSpec,
    labels: Mapping[str, str],
    hostvars: Mapping[str, Any],
    chosen: Mapping[str, Any],
    meant: MeantUnit | None = None,
) -> Any:
    error: Callable[[str], RunnerError] = Refused
    value, place = parameter.value, spec.name
    if parameter.kind == "label":
        label, value = from_label(entry, parameter, labels, lambda text: _outside(text, spec))
        place = f"label {label}"
    elif parameter.kind == "inventory":
        value, place = hostvars.get(parameter.name), parameter.from_
        variable = f"variable {parameter.name}"
        if value is None:
            raise Refused(f"{entry.id}: the inventory has no {variable} for the host")
        # It would reach the play as this very text, because every value is tagged unsafe.
        if any(mark in str(value) for mark in ("{{", "{%")):
            raise Refused(
                f"{entry.id}: the inventory {variable} is a template, which is not evaluated "
                "here; set the value itself"
            )
    elif spec.name in chosen:
        value, error = chosen[spec.name], UsageError
    elif parameter.kind == "services":
        if why := unresolved(parameter, meant):
            raise Refused(f"{entry.id}: {place}: {why}")
        value = meant and meant.unit
    try:
        if parameter.kind in ("label", "choice", "services"):
            return _outside(value, spec)
        return checked(value, spec)
    except ValueError as why:
        raise error(f"{entry.id}: {place} {why}") from None


def _outside(value: Any, spec: ParameterSpec) -> Any:
    """What came from outside, as `checked`, and bounded. Raises ValueError, a predicate."""
    _bounded(value)
    return checked(value, spec)


def _bounded(value: Any, depth: int = 0) -> None:
    """Refuse what no honest label or choice holds. Raises ValueError, a predicate."""
    if depth > MAX_DEPTH:
        raise ValueError("is nested too deeply")
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise ValueError(f"is longer than {MAX_TEXT} characters")
        if any(unicodedata.category(character) in _HIDDEN for character in value):
            raise ValueError("holds a control character")
    elif isinstance(value, Mapping | list | tuple):
        if len(value) > MAX_ITEMS:
            raise ValueError(f"has more than {MAX_ITEMS} items")
        items = [*value.keys(), *value.values()] if isinstance(value, Mapping) else value
        for item in items:
            _bounded(item, depth + 1)


def chosen(entry: Entry, specs: Specs, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that somebody chose, each as its variable's type; nothing is filled in.

    Raises UsageError for a name or a value that cannot be chosen, and for one that is missing.
    """
    _only_choices(entry, values)
    made = {}
    for name, parameter in entry.parameters.items():
        if parameter.kind != "choice" or name not in specs:
            continue
        if name in values:
            made[name] = _value(entry, parameter, specs[name], {}, {}, values)
        elif specs[name].required and parameter.value is None:
            raise UsageError(f"{entry.id} needs a value for {name}")
    return made


def schema_json(entry: Entry, specs: Specs) -> dict[str, Any]:
    """A JSON schema of what may be chosen, for the command line, the web form and the model."""
    properties: dict[str, Any] = {}
    required = []
    for name, parameter in entry.parameters.items():
        spec = specs.get(name)
        if spec is None or parameter.kind != "choice":
            continue
        made: dict[str, Any] = {"description": spec.description} | _schema_of(spec.type)
        item = made
        if spec.type == "list":
            item = made["items"] = _schema_of(spec.elements)
            made["maxItems"] = MAX_ITEMS
        if spec.choices:
            item["enum"] = choices_of(spec)
        if spec.pattern:
            item["pattern"] = f"^(?:{spec.pattern})$"
        made |= {"minimum": spec.least} if spec.least is not None else {}
        made |= {"maximum": spec.most} if spec.most is not None else {}
        if parameter.value is not None:
            made["default"] = checked(parameter.value, spec)
        elif spec.required:
            required.append(name)
        properties[name] = made
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": required,
    }


def _schema_of(kind: str) -> dict[str, Any]:
    if kind in ("str", "path"):
        return {"type": "string", "maxLength": MAX_TEXT}
    return {"type": _JSON_TYPES.get(kind, "object")}


def _near(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known here: {', '.join(names)}" if names else ""
