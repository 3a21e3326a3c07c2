"""What a large inventory costs an incident while none of its files changes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from bench.measure import Measure, compare, cpu_here
from runner import inventory
from runner.inventory.reader import InventoryReader

HOSTS = 10_000
USES = 20  #: of one incident, over two seconds
PAUSE = 0.1


def measure() -> Iterator[Measure]:
    # What is measured is the look at the files; a listing takes a minute with so many.
    listed = inventory._listed
    inventory._listed = lambda *_: '{"_meta": {"hostvars": {}}, "all": {}}'
    try:
        with tempfile.TemporaryDirectory() as name:
            small, large = _reader(Path(name) / "small", 10), _reader(Path(name) / "large", HOSTS)
            # A use beside a play of half a second, which is what an incident takes at least.
            yield compare(
                f"use of an inventory of {HOSTS:,} hosts with host_vars, in a second of work",
                lambda: 1 + cpu_here(_used(large)) / USES,
                "of ten hosts",
                lambda: 1 + cpu_here(_used(small)) / USES,
                goal="<= 1.2",
            )
    finally:
        inventory._listed = listed


def _reader(folder: Path, hosts: int) -> InventoryReader:
    names = [f"web{n}" for n in range(hosts)]
    for name in names:
        (folder / "host_vars" / name).mkdir(parents=True)
        (folder / "host_vars" / name / "main.yml").write_text("number: 1\n")
    (folder / "hosts.ini").write_text("\n".join(names))
    return InventoryReader((folder / "hosts.ini",), {})


def _used(reader: InventoryReader) -> Callable[[], None]:
    def use() -> None:
        for _ in range(USES):
            reader.read(timedelta(minutes=1))
            time.sleep(PAUSE)

    return use
