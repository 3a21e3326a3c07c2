"""`python -m tests.lab up` boots a lab and stays, `matrix` breaks it, `down` removes a left one."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path

from tests.lab import database, lab, layout, project, watch
from tests.lab.shell import LabError, inside

#: Booted for a matrix: one alone may not be restarted, because its group must keep one.
WEB = ("web1", "web2")


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="boot a lab and stay until Ctrl-C")
    up.add_argument(
        "--hosts",
        type=_hosts,
        default=layout.DEFAULT,
        metavar="NAME,NAME",
        help=f"some of {', '.join(layout.ADDRESSES)} (default: {','.join(layout.DEFAULT)})",
    )
    matrix = verbs.add_parser("matrix", help="run every drill on the web hosts of a lab of its own")
    matrix.add_argument("--report", type=Path, required=True, help="folder of the report")
    matrix.add_argument(
        "--hosts", type=_hosts, default=WEB, metavar="NAME,NAME", help="which of them are broken"
    )
    matrix.add_argument(
        "--drill", dest="drills", action="append", default=[], metavar="NAME",
        help="a drill to run (default: every one)",
    )  # fmt: skip
    matrix.add_argument("--for", dest="span", default="60s", help="when each fault ends by itself")
    verbs.add_parser("down", help="remove what a lab that was ended hard left behind")
    arguments = parser.parse_args()
    try:
        if arguments.verb == "matrix":
            return _matrix(
                arguments.report.absolute(), arguments.span, arguments.hosts, arguments.drills
            )
        return _up(arguments.hosts) if arguments.verb == "up" else _down()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _hosts(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in names if name not in layout.ADDRESSES]:
        raise argparse.ArgumentTypeError(f"no host of the lab is called {unknown[0]!r}")
    return names


def _up(hosts: tuple[str, ...]) -> int:
    with lab.running(hosts, tell=_say) as one:
        for name in one.hosts:
            _say(f"  {name:8} {layout.ADDRESSES[name]}")
        at = one.layout
        _say(f"Prometheus {watch.PROMETHEUS}, Alertmanager {watch.ALERTMANAGER}, both inside:")
        _say(f"  nsenter --net={at.namespace} $SHELL")
        _say(f"  ssh -i {at.key} -o UserKnownHostsFile={at.known_hosts} root@{hosts[0]}")
        configuration = project.write(at, at.state / "project")
        _say(f"  runner -c {configuration} serve")
        _say("Ctrl-C ends the lab.")
        signal.pause()
    return 0


def _matrix(report: Path, span: str, hosts: tuple[str, ...], drills: list[str]) -> int:
    """Boot a lab, have a runner work on it, and play drills; the exit code of the matrix."""
    with lab.running(tuple(dict.fromkeys((*WEB, *hosts))), tell=_say) as one:
        at = one.layout
        configuration = project.write(at, at.state / "project")
        given = ["drill", "matrix", "--report", str(report), "--for", span, "--approve", "--yes"]
        given += ["--as", project.PERSON, *(word for host in hosts for word in ("--host", host))]
        given += [word for drill in drills for word in ("--drill", drill)]
        with inside(at.namespace), project.serving(at, configuration):
            for host in hosts:
                one.run(host, "systemctl", "start", "drills.target")
                database.bring(host, configuration.parent)
            words = project.command(at, "-c", str(configuration), *given)
            return subprocess.run(words, env=project.environment()).returncode


def _down() -> int:
    removed, living = False, []
    for at in layout.known():
        try:
            with lab.claimed(at):
                removed |= lab.remove(at)
        except LabError as error:
            living.append(error)
    if removed or not living:
        _say("removed" if removed else "there is nothing to remove")
    for sentence in living:
        print(f"lab: {sentence}", file=sys.stderr)
    return 1 if living else 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
