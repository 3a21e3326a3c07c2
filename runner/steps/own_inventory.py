"""The inventory that a run reads: of a large one an excerpt with its own hosts."""

from __future__ import annotations

import logging
from contextlib import suppress

from runner.catalog import inventory_use
from runner.catalog.entry import Entry
from runner.catalog.inventory_use import InventoryUse
from runner.errors import CatalogError, InventoryError
from runner.incident import Plan
from runner.inventory import Inventory
from runner.inventory.excerpt import LOCALHOST, Doubtful, Whole
from runner.project import Project

logger = logging.getLogger(__name__)


def look_again(project: Project) -> None:
    """Read a large inventory anew if it changed while the run waited, before the last look at the
    world: what that compares is then what `excerpt` gives."""
    known = project.inventory_at_hand
    if known is not None and known.whole is not None:
        with suppress(InventoryError):  # Ansible itself says what is wrong with it
            project.inventory()


def excerpt(project: Project, known: Inventory | None, entry: Entry, plan: Plan) -> bytes | None:
    """What the run of this plan is to read of the `known` inventory. None: the whole, as Ansible
    finds it."""
    if known is None or known.whole is None:
        return None
    try:
        use = inventory_use.of_entry(project.catalog, entry, plan.loaded)
        return cut(known, known.whole, plan, use)
    except (Doubtful, CatalogError) as doubt:
        logger.info("a run of %s reads the whole inventory: %s", entry.id, doubt)
        return None


def cut(inventory: Inventory, whole: Whole, plan: Plan, use: InventoryUse) -> bytes:
    """The excerpt for a play that uses the inventory like this. Raises Doubtful."""
    # One that it does not know, such as an implicit localhost, has the variables of `all` only.
    hosts = {*plan.touched, *LOCALHOST} & inventory.hosts.keys()
    templates = inventory_use.of_text(whole.texts(hosts))
    # A pattern that names anything else may match otherwise in an excerpt.
    names = {*inventory.groups, *hosts, *LOCALHOST, "*"}
    if strange := [each for each in use.patterns if each.lstrip("!&") not in names]:
        raise Doubtful(f"its play is for hosts: {strange[0] or 'that are no text'}")
    for each, where in ((use, ""), (templates, "a variable of its hosts: ")):
        if each.whole:
            raise Doubtful(f"{where}{each.whole}")
    return whole.excerpt(hosts, use.groups | templates.groups)
