"""Predictions of nodes: look, remember, step the greylist, and hand alerts to the intake.

Beside `acts` in the order of imports: it brings the inventory, Prometheus, the store and the
pure rules of `nodes` together. Nothing here names a playbook; which entry answers an alert is
said in the catalog.
"""

from __future__ import annotations

from runner.predict.members import settle
from runner.predict.outlook import (
    Outlook,
    history,
    look,
    look_for_extra,
    one_of,
    signal_names,
    watched,
)
from runner.predict.round import opinions, step
from runner.predict.spares import free_spares
from runner.predict.told import as_inventory, deliver, publish

__all__ = [
    "Outlook",
    "as_inventory",
    "deliver",
    "free_spares",
    "history",
    "look",
    "look_for_extra",
    "one_of",
    "opinions",
    "publish",
    "settle",
    "signal_names",
    "step",
    "watched",
]
