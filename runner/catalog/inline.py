"""What values may be where no argument spec says it: the entry's own `parameters` do."""

from __future__ import annotations

from runner.catalog.entry import Entry
from runner.catalog.parameters import ParameterSpec
from runner.errors import CatalogError
from runner.text.matcher import compiled

#: What a text from outside must be where the entry says nothing narrower: harmless in a shell.
PLAIN = "[A-Za-z0-9_][A-Za-z0-9_@%+=:,.-]*"


def stated_in(entry: Entry) -> dict[str, ParameterSpec]:
    """The variables of an entry whose play has no argument spec, as `parameters` says them.

    Raises CatalogError with a sentence.
    """
    specs = {}
    for name, parameter in entry.parameters.items():
        outside = parameter.kind in ("label", "choice") and not parameter.choices
        kind, elements = parameter.type or "str", parameter.elements or "str"
        free = PLAIN if outside and (elements if kind == "list" else kind) == "str" else ""
        specs[name] = ParameterSpec(
            name=name,
            type=kind,
            elements=elements,
            choices=parameter.choices,
            required=parameter.required is not False,
            description=parameter.description or "",
            pattern=parameter.pattern or free,
            least=parameter.min,
            most=parameter.max,
        )
        try:
            compiled(specs[name].pattern)
        except ValueError as error:
            raise CatalogError(f"parameters.{name}.pattern: {error}") from None
    return specs
