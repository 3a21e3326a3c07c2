"""A case made of what happened: the incident's alert and evidence, and its answer as expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import yaml

from runner.cases.file import NONE
from runner.errors import Refused
from runner.incident import Alert, Level, Result, State
from runner.incident_report import Bundle
from runner.inventory import Inventory
from runner.text.duration import write

#: Evidence that a case keeps, by its heading there; the rest is made anew from the catalog.
_HEADINGS = {"metric": "metrics", "fact": "facts", "log": "logs", "history": "history"}
#: Ends that say nothing against the entry that was chosen.
_GOOD = frozenset({State.FIXED, State.OBSERVED, State.DRY_RUN, State.WAITING})


def harvest(bundle: Bundle, inventory: Inventory | None, mask: Callable[[str], str]) -> str:
    """The text of a case file. Raises Refused for an incident that a person asked for.

    What a person must look at before it is kept stands in its first lines.
    """
    incident = bundle.incident
    if incident.requested_by:
        raise Refused(
            f"incident {incident.id} was asked for by {incident.requested_by}: "
            "no decision was made that a case could expect"
        )
    where = ", ".join(incident.hosts) or "a host that was not found"
    content: dict[str, Any] = {
        "title": mask(f"{incident.alert.name} on {where}, as in incident {incident.id}"),
        "alert": _alert(bundle, mask),
    }
    if incident.hosts:
        # The hosts, and those of their groups, each with what the runner reads of it.
        known = inventory.hosts if inventory is not None else {}
        made = list(incident.hosts)  # also one that has left the inventory
        if inventory is not None:
            groups = {
                group for host in incident.hosts if host in known for group in known[host].groups
            }
            for group in sorted(groups):
                made += inventory.groups.get(group, ())
        content["inventory"] = {host: {} for host in made}
        for host in known.keys() & set(made):
            variables = sorted(known[host].variables.items())
            content["inventory"][host] = {
                "groups": [group for group in known[host].groups if group != "ungrouped"],
                **{name: value for name, value in variables if name.startswith("runner_")},
            }
    if evidence := _evidence(bundle):
        content["evidence"] = evidence
    content["expect"] = _expected(bundle)
    head = "".join(f"# {line}\n" for line in _remarks(bundle))
    written = yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, indent=2
    )
    return f"---\n{head}{written}"


def _alert(bundle: Bundle, mask: Callable[[str], str]) -> dict[str, Any]:
    alert: Alert = bundle.incident.alert
    decided = bundle.incident.created_at
    made: dict[str, Any] = {"labels": _masked(alert.labels, mask)}
    if alert.annotations:
        made["annotations"] = _masked(alert.annotations, mask)
    age = max(timedelta(), decided - alert.starts_at)
    return made | {"age": write(timedelta(seconds=int(age.total_seconds())))}


def _masked(pairs: Mapping[str, str], mask: Callable[[str], str]) -> dict[str, str]:
    return {name: mask(value) for name, value in sorted(pairs.items())}


def _evidence(bundle: Bundle) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for item in bundle.evidence:
        if heading := _HEADINGS.get(item.kind):
            texts = found.setdefault(heading, {})
            texts[item.title if item.title not in texts else f"{item.title} [{item.number}]"] = (
                item.text
            )
    return found


def _expected(bundle: Bundle) -> dict[str, Any]:
    incident = bundle.incident
    entry = incident.entry if incident.entry and _stands(bundle) else None
    made: dict[str, Any] = {"entry": entry or NONE}
    if entry and incident.hosts:
        made["hosts"] = list(incident.hosts)
    if entry and bundle.verdict is not None:
        # What policy gave without the ceilings that a case leaves out.
        left_out = ("configuration", "command_line", "pause", "earned", "cooldown")
        reasons = [each for each in bundle.verdict.reasons if each.rule not in left_out]
        made["level"] = str(Level.lowest(*(reason.level for reason in reasons)))
    return made


def _stands(bundle: Bundle) -> bool:
    """Whether what was chosen is worth expecting again."""
    results = {found.result for found in bundle.verifications.values()}
    return bundle.incident.state in _GOOD and Result.NOT_FIXED not in results


def _remarks(bundle: Bundle) -> list[str]:
    incident = bundle.incident
    lines = ["Made of a real incident: look at it for names and secrets before it is shared."]
    if incident.entry and not _stands(bundle):
        lines.append(
            f"{incident.entry} was chosen and the incident ended {incident.state}, so nothing is "
            "expected here; correct that if it was right."
        )
    return lines


class _Dumper(yaml.SafeDumper):
    """Long texts as blocks, lists indented as yamllint asks."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)
