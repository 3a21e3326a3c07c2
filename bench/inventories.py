"""What a large inventory costs an incident while none of its files changes."""

from __future__ import annotations

import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from bench.measure import Measure, compare, cpu_here
from runner import inventory
from runner.execute.request import RunRequest
from runner.execute.run import run
from runner.incident import Outcome
from runner.inventory.excerpt import Whole
from runner.inventory.reader import InventoryReader

HOSTS = int(os.environ.get("BENCH_HOSTS", "10000"))
USES = 20  #: of one incident, over two seconds
PAUSE = 0.1
PLAY = "- hosts: all\n  gather_facts: false\n  tasks: [{ansible.builtin.debug: {msg: hello}}]\n"
LOCAL = {"ansible_connection": "local"}


def measure() -> Iterator[Measure]:
    yield from _first_tasks()
    yield from _uses()


def _first_tasks() -> Iterator[Measure]:
    """A whole run of one task without a module, by an excerpt and by the whole inventory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "play.yml").write_text(PLAY)
        small, large = _groups(10), _groups(HOSTS)
        for path, groups in (("small", small), ("large", large)):
            (folder / path).write_text(_yaml(groups))
        whole = Whole.of(json.dumps(_listing(large)))
        for how, of, goal in (("an excerpt", whole, "<= 1.2"), ("the whole inventory", None, "")):
            yield compare(
                f"run of one task on one of {HOSTS:,} hosts, by {how}",
                partial(_run, folder, "large", of),
                "of ten hosts",
                partial(_run, folder, "small"),
                goal=goal,
            )


def _groups(hosts: int) -> dict[str, list[str]]:
    """Ten groups, which share these hosts."""
    return {f"group{n}": [f"web{host}" for host in range(n, hosts, 10)] for n in range(10)}


def _yaml(groups: dict[str, list[str]]) -> str:
    """They as people write them, each host with a variable."""
    text = f"all:\n  vars: {json.dumps(LOCAL)}\n  children:\n"
    for group, hosts in groups.items():
        lines = (f"        {host}:\n          number: {host}\n" for host in hosts)
        text += f"    {group}:\n      hosts:\n{''.join(lines)}"
    return text


def _listing(groups: dict[str, list[str]]) -> dict[str, object]:
    """What `list_exactly` says of them; asking it takes half a minute."""
    hosts = [host for group in groups.values() for host in group]
    meta = {
        "hostvars": {host: LOCAL | {"number": host} for host in hosts},
        "first": [],
        "places": {host: ["/inventory/large", "/inventory"] for host in hosts},
        "lost": {},
    }
    members = {name: {"hosts": group} for name, group in groups.items()}
    return {"_meta": meta, "all": {"children": list(groups), "vars": LOCAL}, **members}


def _run(folder: Path, inventory: str, whole: Whole | None = None) -> float:
    """How long it takes, the cut included."""
    began = time.perf_counter()
    request = RunRequest(
        id=uuid.uuid4().hex,
        entry_id="bench",
        playbook=folder / "play.yml",
        inventory=(folder / inventory,),
        hosts=("web0",),
        artifacts=folder / "artifacts",
        timeout=timedelta(minutes=5),
        excerpt=whole.excerpt({"web0"}, ()) if whole is not None else None,
    )
    assert run(request).outcome is Outcome.NO_CHANGE
    return time.perf_counter() - began


def _uses() -> Iterator[Measure]:
    # What is measured is the look at the files; a listing takes a minute with so many.
    listed, exactly = inventory._listed, inventory._listed_exactly
    inventory._listed = lambda *_: '{"_meta": {"hostvars": {}}, "all": {}}'
    inventory._listed_exactly = lambda *_: ("", None)
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
        inventory._listed, inventory._listed_exactly = listed, exactly


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
