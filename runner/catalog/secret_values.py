"""Values of parameters that are read when a run starts, and are stored and shown nowhere."""

from __future__ import annotations

import os
from pathlib import Path

from runner.catalog.entry import Entry
from runner.errors import Refused

MOST = 64 * 1024  #: characters of one value


def secrets_of(entry: Entry) -> dict[str, str]:
    """The values that are read when a run starts, from a file or from the runner's environment.

    They are no part of a plan, and never stored. Raises Refused, naming what is missing.
    """
    values = {}
    for name, parameter in entry.parameters.items():
        if parameter.kind == "environment":
            if not (value := os.environ.get(parameter.name, "")):
                raise Refused(
                    f"{entry.id}: {name} needs {parameter.name} in the environment of the runner"
                )
            values[name] = value
        elif parameter.kind == "file":
            path = entry.folder / Path(parameter.name).expanduser()
            try:
                with path.open(encoding="utf-8") as file:
                    values[name] = file.read(MOST).rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is not UTF-8 text"
                raise Refused(
                    f"{entry.id}: {name} needs {path}, which cannot be read: {why}"
                ) from None
            if not values[name]:
                raise Refused(f"{entry.id}: {name} needs {path}, which is empty")
    return values
