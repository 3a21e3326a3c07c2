"""`runner serve` and `runner work` as processes: what they say, and how they end."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from runner.cli.log import JsonLines, TextLines
from tests import small_project as small
from tests.command_line import PROGRAM, environment, process
from tests.local_hosts import needs_ansible

pytestmark = needs_ansible


class Serving:
    """A process that stays; its standard error goes to a file."""

    def __init__(self, path: Path, *words: str) -> None:
        self.path = path
        self.log = path.parent / "log"
        self._to = self.log.open("w")
        self.process = subprocess.Popen(
            [*PROGRAM, "--config", str(path), *words, "--output", "json"],
            stdout=subprocess.PIPE, stderr=self._to, text=True, env=environment(),
        )  # fmt: skip

    def said(self) -> dict[str, str]:
        """What it says at its start."""
        assert self.process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            lines.append(self.process.stdout.readline())
            assert lines[-1], self.log.read_text()
        found: dict[str, str] = json.loads("".join(lines))
        return found

    def end(self, number: int = signal.SIGTERM) -> int:
        """Stop it; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._to.close()


@contextmanager
def serving(path: Path, *words: str) -> Iterator[Serving]:
    made = Serving(path, *words)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    path = small.make(tmp_path_factory.mktemp("serve"))
    with serving(path, "--level", "dry-run", "serve", "--log-format", "json") as made:
        made.about = made.said()  # type: ignore[attr-defined]
        yield made


def about(server: Serving) -> dict[str, str]:
    found: dict[str, str] = server.about  # type: ignore[attr-defined]
    return found


def test_it_says_where_it_answers_and_how_far_it_goes(server: Serving) -> None:
    assert about(server)["level"] == "dry-run (limit)"
    assert about(server)["entries"] == "1"
    assert httpx.get(f"{about(server)['address']}/healthz").status_code == 200
    assert "runner_build_info" in httpx.get(f"{about(server)['address']}/metrics").text


def test_a_second_one_is_refused_with_a_sentence(server: Serving) -> None:
    ended = process(server.path, "work")
    assert ended.returncode == 6
    assert "already works on this SQLite store" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_what_is_handed_in_is_worked_on_there(server: Serving) -> None:
    body = small.body(small.alert()).decode()
    ended = process(server.path, "alert", "handle", "-", input=body)
    assert ended.returncode == 0, ended.stderr
    assert "dry_run" in ended.stdout
    assert small.runs(server.path.parent) == 0


def test_every_transition_is_a_line_of_json(server: Serving) -> None:
    answer = httpx.post(
        f"{about(server)['address']}/api/v1/alerts",
        content=small.body(small.alert(host="nowhere")),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 200
    until_logged(server, "escalated")
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    found = [line for line in lines if line.get("action") == "escalated"]
    assert found[0]["incident"] >= 1
    assert found[0]["message"].startswith("incident ")


def until_logged(server: Serving, action: str) -> None:
    deadline = time.monotonic() + 30
    while f'"action": "{action}"' not in server.log.read_text():
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(tmp_path: Path, number: int) -> None:
    with serving(small.make(tmp_path), "work") as made:
        made.said()
        assert made.end(number) == 0
        assert "Traceback" not in made.log.read_text()


def test_it_ends_in_the_middle_of_a_run_and_goes_on_later(tmp_path: Path) -> None:
    """Invariant 2: a run that is under way at the stop is not started again."""
    path = small.make(tmp_path, extra="sleep 4")
    with serving(path, "serve") as made:
        where = made.said()["address"]
        headers = {"Content-Type": "application/json"}
        httpx.post(f"{where}/api/v1/alerts", content=small.body(small.alert()), headers=headers)
        opened = small.project(path)
        small.wait(opened, until=lambda one: one.state == "running")
        assert made.end() == 0
    with serving(path, "work") as again:
        again.said()
        small.wait(opened)
        opened.close()
        assert again.end() == 0
    assert small.runs(tmp_path) == 1


def test_a_port_that_is_taken_is_3(server: Serving, tmp_path: Path) -> None:
    port = int(about(server)["address"].rpartition(":")[2])
    path = small.make(tmp_path, settings={"listen": {"allow_anonymous": True, "port": port}})
    ended = process(path, "serve")
    assert ended.returncode == 3
    assert "is taken by another program" in ended.stderr


def test_a_broken_catalog_stops_the_start(tmp_path: Path) -> None:
    path = small.make(tmp_path)
    (tmp_path / "playbooks/mark/entry.yml").write_text("title: x\n")
    assert process(path, "work").returncode == 3


def test_a_line_of_text_is_one_harmless_line() -> None:
    import logging

    record = logging.LogRecord("runner", logging.WARNING, "", 0, "a\nb\x1b[2J", None, None)
    assert TextLines().format(record).endswith("WARNING a\\nb\\x1b[2J")
    assert json.loads(JsonLines().format(record))["message"] == "a\nb\x1b[2J"


def own(server: Serving, *, worker: bool) -> psutil.Process:
    """The web process, or the worker: the one that holds the port, or the one that does not."""
    port = int(about(server)["address"].rpartition(":")[2])

    def found() -> list[psutil.Process]:
        children = psutil.Process(server.process.pid).children()
        holding = {
            each.pid for each in children
            if any(c.laddr.port == port for c in each.net_connections())
        }  # fmt: skip
        return [each for each in children if (each.pid not in holding) is worker]

    small.until(lambda: len(found()) == 1, "one of each kind")
    return found()[0]


def post(server: Serving, **labels: str) -> httpx.Response:
    return httpx.post(
        f"{about(server)['address']}/api/v1/alerts",
        content=small.body(small.alert(**labels)),
        headers={"Content-Type": "application/json"},
        timeout=30,
    )


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Serving]:
    with serving(small.make(tmp_path, extra="sleep 2"), "serve") as made:
        made.about = made.said()  # type: ignore[attr-defined]
        yield made


def test_a_worker_that_dies_is_started_again_and_alerts_are_stored_meanwhile(pair: Serving) -> None:
    """Invariants 1 and 2: what it worked on goes on, and readiness tells the truth."""
    ready = f"{about(pair)['address']}/readyz"
    assert httpx.get(ready).status_code == 200
    assert post(pair).status_code == 200
    with closing(small.project(pair.path)) as project:
        small.wait(project, until=lambda one: one.state == "running")
        own(pair, worker=True).kill()
        while (answer := httpx.get(ready, timeout=30)).status_code == 200:  # for a second at least
            time.sleep(0.02)
        assert answer.status_code == 503 and "worker has ended" in answer.text, answer.text
        assert post(pair, host="web2").status_code == 200
        small.until(lambda: httpx.get(ready, timeout=30).status_code == 200, "it is ready again")
        assert small.wait(project).incident.state == "fixed"
        assert small.wait(project, incident=2).incident.state == "fixed"
    assert [small.runs(pair.path.parent, host) for host in ("web1", "web2")] == [1, 1]
    assert "the worker process has ended (-9); it is started again" in pair.log.read_text()
    assert pair.end() == 0


def test_a_web_process_that_dies_is_started_again_and_the_work_goes_on(pair: Serving) -> None:
    assert post(pair).status_code == 200
    with closing(small.project(pair.path)) as project:
        small.wait(project, until=lambda one: one.state == "running")
        worker = own(pair, worker=True)
        own(pair, worker=False).kill()
        assert post(pair, host="web2").status_code == 200  # the port was never given up
        assert small.wait(project).incident.state == "fixed"
        assert small.wait(project, incident=2).incident.state == "fixed"
        assert own(pair, worker=True) == worker
    assert pair.end() == 0


def test_both_end_with_the_process_that_started_them(pair: Serving) -> None:
    both = psutil.Process(pair.process.pid).children()
    assert len(both) == 2
    pair.process.kill()
    psutil.wait_procs(both, timeout=30)
    assert not [each for each in both if each.is_running()]
    with serving(pair.path, "serve") as again:  # neither the lock nor the port is held
        again.said()
        assert again.end() == 0


def test_what_the_worker_cannot_do_ends_all_with_its_sentence(tmp_path: Path) -> None:
    path = small.make(tmp_path)
    with serving(path, "work") as first:
        first.said()
        ended = process(path, "serve")
    assert ended.returncode == 6
    assert "already works on this SQLite store" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
