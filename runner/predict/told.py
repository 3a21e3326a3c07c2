"""What others see of the greylist: alerts for the intake, a group for Ansible."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from runner import acts, private
from runner.errors import StoreError
from runner.incident import Level
from runner.intake.payload import compose
from runner.nodes import greylist
from runner.project import Project
from runner.store import incidents, nodes
from runner.store.nodes import Member

GREYLIST_FILE = "greylist.json"  #: in the state folder; what the inventory script reads


def deliver(project: Project, now: datetime) -> int:
    """Hand the intake what fires and what does no more; how many alerts.

    Where a model doubts what the rules say, nothing runs before a person was asked.
    """
    with project.database.read() as tx:
        # The members as their alerts tell of them.
        from runner.predict import opinion

        least = project.config.policy.min_confidence
        by_rules, by_model = nodes.latest(tx), nodes.latest(tx, by=opinion.BY)
        held = [
            greylist.Held(
                node=one.node,
                tier=one.tier,
                since=one.since,
                why=one.why,
                doubt=opinion.doubt(by_rules.get(one.node), by_model.get(one.node), least),
            )
            for one in nodes.members(tx)
            if one.since is not None
        ]
        firing = [incident.alert for incident in incidents.firing_of(tx, greylist.SOURCE)]
    settings = project.config.nodes
    wanted = [greylist.alert_of(one, settings) for one in held]
    doubted = {one.node for one in held if one.doubt}
    told = greylist.difference(wanted, firing, now)
    for ceiling, some in (
        (Level.AUTO, [a for a in told if a.labels.get("instance") not in doubted]),
        (Level.APPROVE, [a for a in told if a.labels.get("instance") in doubted]),
    ):
        if some:
            delivery = compose(some, source=greylist.SOURCE, group_key="predictions")
            acts.deliver(project, delivery.raw, source=delivery.source, ceiling=ceiling)
    return len(told)


def publish(project: Project) -> bool:
    """Write who is greylisted where the inventory script reads it; whether that changed.

    The file stands when the store is away: who was greylisted stays greylisted.
    """
    with project.database.read() as tx:
        members = nodes.members(tx)
    content = as_inventory(members)
    path = project.state / GREYLIST_FILE
    text = json.dumps(content, indent=2) + "\n"
    with suppress(OSError, UnicodeDecodeError):  # what cannot be read is written anew
        if path.read_text(encoding="utf-8") == text:
            return False
    try:
        private.make_folder(path.parent)
        private.write_whole(path, text.encode())
    except OSError as error:
        raise StoreError(f"{path}: the greylist cannot be written ({error.strerror})") from None
    project.forget_inventory()
    return True


def as_inventory(members: Sequence[Member]) -> dict[str, Any]:
    """The greylist as an Ansible inventory: the group, and why each host is in it."""
    variables = {
        one.node: {
            "runner_greylist_tier": one.tier,
            "runner_greylist_since": (one.joined_at or one.since or datetime.min).isoformat(),
        }
        for one in members
    }
    return {
        "greylisted": {"hosts": [one.node for one in members]},
        "_meta": {"hostvars": variables},
    }
