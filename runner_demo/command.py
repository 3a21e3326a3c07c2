"""`runner demo`: break one of three real services on this machine, and watch it being healed."""

from __future__ import annotations

from pathlib import Path

import click

from runner.cli import LEVEL, Verb, option
from runner.cli.session import Session, person
from runner.errors import UsageError
from runner.incident import Level
from runner_demo.faults import FAULTS

_FAULTS = "; ".join(f"{fault.name}: {fault.title}" for fault in FAULTS)
_NAMES = [fault.name for fault in FAULTS]
#: The first one unless somebody says otherwise.
STORAGE_FAULTS = {
    "dead": "a node dies at once",
    "degrading": "a node shows signs, and then is about to fail",
}
_STORAGE_FAULTS = "; ".join(f"{name}: {title}" for name, title in STORAGE_FAULTS.items())


@click.command(cls=Verb)
@click.argument("what", type=click.Choice(["fleet", "storage"]), default="fleet")
@option("--fault", type=click.Choice([*_NAMES, *STORAGE_FAULTS]),
        help=f"Fault to inject. In the fleet, the default is crash; {_FAULTS}. In storage, "
        f"{_STORAGE_FAULTS}.")  # fmt: skip
@option("--level", type=LEVEL, default="auto",
        envvar="RUNNER_DEMO_LEVEL", show_default=True,
        help="Level of the demo; at approve it asks you.")  # fmt: skip
@option("--model", type=click.Choice(["none", "scripted"]), default="none", show_default=True,
        help="scripted: a stand-in decides together with the rules.")  # fmt: skip
@option("--keep", is_flag=True, help="Keep fleet and dashboard running until Ctrl-C.")
@option("--port", type=click.IntRange(1, 65535), help="Port of the dashboard; default: a free one.")
@option("--folder", type=click.Path(path_type=Path), default=Path("var/demo"), show_default=True,
        help="Folder for its files, which are kept.")  # fmt: skip
@click.pass_obj
def demo(
    session: Session,
    what: str,
    fault: str | None,
    level: str,
    model: str,
    keep: bool,
    port: int | None,
    folder: Path,
) -> int:
    """Break something real on this machine and watch the runner fix it.

    The fleet is three small services, of which one breaks. Storage is an etcd cluster, of which
    one node fails and is replaced by a spare while a client writes; it needs etcd in PATH, and
    for a node that degrades prometheus too.

    It needs no root, server or key, takes a minute or two, and stops everything that it started.
    Exit code 0 means that it ended as expected.
    """
    from runner_demo import storage
    from runner_demo.answer import Asker
    from runner_demo.ended import Ended
    from runner_demo.faults import BY_NAME
    from runner_demo.play import Wish, play
    from runner_demo.show import JsonLines, Show, Words

    fault = _fitting(what, fault)
    show: Show = JsonLines() if session.json else Words(session.screen)
    asker = Asker.here(person(None), allowed=not session.json)
    wish = Wish(
        fault=BY_NAME[fault if what == "fleet" else _NAMES[0]],
        level=session.lower(Level(level)),
        folder=folder,
        port=port,
        keep=keep,
        scripted=model == "scripted",
    )
    of_storage = storage.Wish(
        level=wish.level, folder=folder, port=port, degrading=fault == "degrading"
    )
    try:
        if what == "storage":
            return storage.play(of_storage, show, asker)
        return play(wish, show, asker)
    except Ended as ended:
        session.note("The demo was stopped; all its processes have ended.")
        return ended.exit_code
    finally:
        show.close()


def _fitting(what: str, fault: str | None) -> str:
    """The fault to show. Raises UsageError for one that the other demo has."""
    known = _NAMES if what == "fleet" else list(STORAGE_FAULTS)
    if fault is not None and fault not in known:
        raise UsageError(f"--fault {fault} is not of {what}, which has {', '.join(known)}")
    return fault or ("crash" if what == "fleet" else known[0])
