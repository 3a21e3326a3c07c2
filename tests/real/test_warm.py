"""The warm process: who may ask it, when it is left, and what ends with a run of it."""

from __future__ import annotations

import ast
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import ansible.plugins.loader
import psutil
import pytest

from runner.execute.request import RunResult
from runner.execute.run import run
from runner.execute.warm.child import PER_RUN, PLUGIN_FOLDERS
from runner.execute.warm.client import Warm
from runner.execute.warm.loaded import Loaded
from runner.incident import Outcome
from runner.inventory import Inventory
from tests.local_hosts import Lab, needs_ansible, number, sleepers
from tests.warm_process import is_warm, keeper, socket_of, start, wait

pytestmark = [*needs_ansible, pytest.mark.slow]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("warm"))


@pytest.fixture(scope="module")
def warm(lab: Lab) -> Iterator[Warm]:
    with keeper(lab) as warm:
        yield warm


@pytest.fixture
def ready(lab: Lab, warm: Warm) -> Warm:
    """The module's own, running again should the test before have ended it."""
    if not socket_of(warm).exists():
        start(lab, warm)
    return warm


def parent_of(warm: Warm) -> psutil.Process:
    assert warm._started is not None
    return psutil.Process(warm._started.pid)


def plays(lab: Lab, warm: Warm, tasks: str = "- ansible.builtin.debug:") -> RunResult:
    return run(lab.request(lab.play(tasks)), warm=warm)


def test_only_its_user_can_reach_the_socket(ready: Warm) -> None:
    """The folder above is closed as well, so that nobody can put another socket there."""
    path = socket_of(ready)
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    for folder in (path.parent, path.parent.parent):
        assert stat.S_IMODE(folder.lstat().st_mode) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_gets_no_answer_even_at_an_open_socket(ready: Warm) -> None:
    """The peer's user is looked at, too: here the rights of folder and socket are taken away."""
    path = socket_of(ready)
    code = (
        "import os, socket, sys\nos.chdir(sys.argv[1])\nos.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX)\ns.settimeout(10)\ns.connect('socket')\n"
        "socket.send_fds(s, [b'\\0'], [0, 1, 2])\nprint(len(s.recv(10)))\n"
    )
    command = [sys.executable, "-c", code, str(path.parent)]
    try:
        for each in (path, path.parent):
            each.chmod(0o777)
        said = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        path.chmod(0o600)
        path.parent.chmod(0o700)
    broken = ("ConnectionResetError", "BrokenPipeError")
    assert said.stdout == "0\n" or any(each in said.stderr for each in broken), said
    assert "another user" in (path.parent / "log").read_text()


def test_a_folder_of_somebody_else_is_not_used(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever made it first could listen there, or have put a link in its place."""
    warm = Warm(lab.folder)
    assert warm.folder is not None
    above = warm.folder.parent
    monkeypatch.setattr(tempfile, "tempdir", str(lab.folder))
    (lab.folder / above.name).symlink_to(above)
    assert warm.folder is None
    monkeypatch.undo()
    assert warm.folder is not None
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    folder = warm.folder
    assert folder is None


def test_whatever_is_said_to_it_it_answers_the_next_question(lab: Lab, ready: Warm) -> None:
    for words in (b"", b"\0\xff\xff\xff\xff", b"\0\0\0\0\2{]", b"GET / HTTP/1.0\r\n\r\n"):
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(socket_of(ready)))
            stranger.sendall(words)
    assert is_warm(plays(lab, ready))


#: What a program can see of the process that started it, and of itself.
LOOK = (
    "cat /proc/$PPID/limits", "umask", "pwd -P | tr -d 0-9a-z_",
    "grep -E 'Sig(Ign|Blk)|Threads' /proc/$PPID/status", "env | cut -d= -f1 | sort",
)  # fmt: skip


def test_a_run_of_it_is_in_the_place_that_a_cold_one_is_in(lab: Lab, ready: Warm) -> None:
    """Memory limit, umask, signals, folder, environment: none tells a fork.

    `pipe` looks at a worker of ansible-playbook, `raw` at what that starts for a host.
    """
    look = " && ".join(LOOK)
    play = lab.play(f"""
    - ansible.builtin.debug: {{msg: "{{{{ lookup('pipe', look) }}}}"}}
    - ansible.builtin.raw: {look}
    """)
    seen = []
    for process in (None, ready):
        secret = {"look": look}
        result = run(lab.request(play, variables=secret, memory=700 * 2**20), warm=process)
        assert result.outcome is Outcome.CHANGED, result.reason
        events = (result.artifacts / "events.jsonl").read_text().splitlines()
        results = [json.loads(line)["res"] for line in events if '"res"' in line]
        said = [str(each.get("msg") or each.get("stdout")) for each in results]
        seen.append([text.splitlines() for text in said])
    for cold, hot in zip(*seen, strict=True):
        assert set(hot) ^ set(cold) == set()
    assert str(700 * 2**20) in str(seen[1])


def test_a_cancelled_run_leaves_no_process_behind(lab: Lab, ready: Warm) -> None:
    """Invariant 14: sessions of their own, cleared environments and ignored signals included."""
    seconds = number()
    tasks, mark = lab.sleeping(seconds)
    seen: list[int] = []

    def cancelled() -> bool:
        if mark.exists():
            seen.append(len(sleepers(seconds)))
        return mark.exists()

    result = run(lab.request(lab.play(tasks)), cancelled=cancelled, warm=ready)
    assert result.outcome is Outcome.CANCELLED, result.reason
    assert is_warm(result)
    assert seen[0] >= 3
    assert sleepers(seconds) == []


def test_a_run_past_its_deadline_is_ended_whole(lab: Lab, ready: Warm) -> None:
    """Invariant 9 and 14."""
    seconds = number()
    tasks, _ = lab.sleeping(seconds)
    request = lab.request(lab.play(tasks), timeout=timedelta(seconds=5))
    result = run(request, warm=ready)
    assert result.outcome is Outcome.TIMEOUT, result.reason
    assert is_warm(result)
    assert sleepers(seconds) == []


@pytest.mark.parametrize("whom", ["ansible", "supervisor"])
def test_a_fork_that_is_killed_is_a_failure_that_leaves_nothing(
    lab: Lab, ready: Warm, whom: str
) -> None:
    """Invariant 2: nothing proves what happened, and what was marked with the run is ended."""
    seconds = number()
    mark = lab.folder / f"mark-{seconds}"
    play = lab.play(f"- ansible.builtin.shell: touch {mark}; sleep {seconds}; true\n")
    pids: list[int] = []

    def kill() -> bool:
        if mark.exists() and len(pids) == 1:
            supervisor = psutil.Process(pids[0])
            victim = supervisor if whom == "supervisor" else supervisor.children()[0]
            pids.append(victim.pid)
            victim.kill()
        return False

    result = run(
        lab.request(play, timeout=timedelta(seconds=20)),
        cancelled=kill,
        on_started=lambda pid, group: pids.append(pid),
        warm=ready,
    )
    assert not result.outcome.completed, result.reason
    assert result.outcome in (Outcome.UNKNOWN, Outcome.FAILED, Outcome.TIMEOUT)
    assert sleepers(seconds) == []


def test_a_run_survives_the_warm_process_and_the_next_ones_are_cold_then_warm(
    lab: Lab, ready: Warm
) -> None:
    """Its supervisor holds it, and needs nobody."""
    mark = lab.folder / f"mark-{number()}"
    play = lab.play(f"- ansible.builtin.shell: touch {mark}; sleep 1\n- ansible.builtin.debug:")

    def kill() -> bool:
        if mark.exists() and parent_of(ready).status() != psutil.STATUS_ZOMBIE:
            parent_of(ready).kill()
        return False

    result = run(lab.request(play), cancelled=kill, warm=ready)
    assert result.outcome is Outcome.CHANGED, result.reason
    assert is_warm(result)
    assert not is_warm(plays(lab, ready))
    wait_for_answer(lab, ready)


def wait_for_answer(lab: Lab, warm: Warm) -> None:
    """A socket that a killed process left is there, and nobody listens."""
    until = time.monotonic() + 60
    while not is_warm(plays(lab, warm)):
        assert time.monotonic() < until
        time.sleep(0.2)


def test_a_warm_process_that_stands_still_does_not_start_a_run_twice(
    lab: Lab, ready: Warm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 2: what it takes up later finds that the run was taken back."""
    monkeypatch.setattr("runner.execute.warm.client._PATIENCE", 0.5)
    counter = lab.folder / "counter"
    parent = parent_of(ready)
    parent.send_signal(signal.SIGSTOP)
    try:
        result = plays(lab, ready, f"- ansible.builtin.shell: echo x >> {counter}")
    finally:
        parent.send_signal(signal.SIGCONT)
    assert result.outcome is Outcome.CHANGED
    assert not is_warm(result)
    assert is_warm(plays(lab, ready))
    assert counter.read_text() == "x\n"


def test_other_settings_are_cold_and_what_a_run_may_set_is_warm(lab: Lab, ready: Warm) -> None:
    """A constant that Ansible took at its import cannot be changed in a fork."""
    play = lab.play("- ansible.builtin.debug:")
    own = {"ANSIBLE_COLLECTIONS_PATH": str(lab.folder), "SOMETHING": "else"}
    assert is_warm(run(lab.request(play, environment=own), warm=ready))
    for name, value in (("ANSIBLE_NO_LOG", "True"), ("LC_NUMERIC", "C")):
        result = run(lab.request(play, environment={name: value}), warm=ready)
        assert not is_warm(result)
        assert result.outcome is Outcome.NO_CHANGE, result.reason
        start_again(lab, ready)
    result = run(lab.request(play, environment={"PYTHONPATH": "/nowhere"}), warm=ready)
    assert not is_warm(result)
    assert is_warm(plays(lab, ready))


def start_again(lab: Lab, warm: Warm) -> None:
    """Once the one that does not fit has ended, another one takes its place."""
    assert warm._started is not None
    warm._started.wait(20)
    assert not is_warm(plays(lab, warm))
    wait(warm)


def test_another_ansible_cfg_is_cold_and_then_warm_with_it(lab: Lab, ready: Warm) -> None:
    config = lab.write("some.cfg", "[defaults]\nnocows = true\n")
    play = lab.play("- ansible.builtin.debug: {msg: '{{ ansible_forks }}'}")

    def forks() -> tuple[bool, str]:
        result = run(lab.request(play, ansible_config=config, check=True), warm=ready)
        events = (result.artifacts / "facts.jsonl").read_text()
        assert events
        return is_warm(result), result.reason

    assert not forks()[0]
    assert ready._started is not None
    ready._started.wait(20)
    assert not forks()[0]
    wait(ready)
    assert forks()[0]
    config.write_text("[defaults]\nnocows = true\nno_log = true\n")
    assert not forks()[0]  # the file was loaded, and differs
    ready.close()  # what was started with this file suits nobody else


def test_an_inventory_is_read_by_a_fork_as_by_a_process(lab: Lab, ready: Warm) -> None:
    """Names that are templates, and errors, too."""
    own = lab.write("own.yml", "all: {hosts: {h1: {ansible_host: '{{ inventory_hostname }}.x'}}}")
    answers: list[object] = []

    def asked(*question: object) -> subprocess.CompletedProcess[bytes] | None:
        answer = ready.run(*question)  # type: ignore[arg-type]
        answers.append(answer)
        return answer

    environment = {"HOME": str(Path.home())}
    assert Inventory.load((own,), environment=environment, warm=asked) == Inventory.load(
        (own,), environment=environment
    )
    assert len(answers) == 2
    assert None not in answers
    own.write_text("all: {hosts: [}")
    with pytest.raises(Exception, match="cannot be read") as cold:
        Inventory.load((own,), environment=environment)
    with pytest.raises(Exception, match="cannot be read") as hot:
        Inventory.load((own,), environment=environment, warm=asked)
    assert str(hot.value) == str(cold.value)


def test_it_ends_with_whoever_keeps_it(lab: Lab, ready: Warm) -> None:
    """However that one ends: here nothing but the pipe between them is closed."""
    parent = parent_of(ready)
    ready.close()
    assert not psutil.pid_exists(parent.pid)
    assert not socket_of(ready).exists()
    assert not is_warm(plays(lab, ready))
    wait(ready)


def twenty(lab: Lab, warm: Warm, runs: int) -> None:
    play = lab.play("- ansible.builtin.debug:")
    assert is_warm(run(lab.request(play), warm=warm))
    parent = parent_of(warm)
    before = parent.memory_info().rss, parent.num_fds(), len(parent.children())
    for _ in range(runs):
        result = run(lab.request(play), warm=warm)
        assert is_warm(result)
        assert result.outcome is Outcome.NO_CHANGE, result.reason
    until = time.monotonic() + 10
    while len(parent.children()) > before[2] and time.monotonic() < until:
        time.sleep(0.1)
    assert parent.num_fds() <= before[1]
    assert len(parent.children()) <= before[2]
    assert parent.memory_info().rss <= before[0] + 2 * 2**20
    assert os.listdir(f"/proc/{parent.pid}/task") == [str(parent.pid)]


def test_twenty_runs_leave_no_trace_in_it(lab: Lab, ready: Warm) -> None:
    twenty(lab, ready, 20)


@pytest.mark.nightly
def test_a_thousand_runs_leave_no_trace_in_it(lab: Lab, ready: Warm) -> None:
    twenty(lab, ready, 1000)


def test_what_was_loaded_counts_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "addaudithook", lambda hook: None)
    loaded, file = Loaded(), tmp_path / "plugin.py"
    file.write_text("one")
    loaded("open", (str(file), "r", os.O_RDONLY))
    loaded.seal(str(tmp_path / "own"))
    monkeypatch.setattr(loaded, "_folders", {})
    assert loaded.changed() == ""
    os.utime(file)
    assert loaded.changed() == ""
    seen = file.stat()
    file.write_text("two")
    os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))  # the time of change tells
    assert loaded.changed() == str(file)
    file.unlink()
    assert loaded.changed() == str(file)


def test_each_loader_of_plugins_is_told_its_folders_anew() -> None:
    """Against Ansible's own source: a loader that is missed would keep the folders it had."""
    tree = ast.parse(Path(ansible.plugins.loader.__file__).read_text())
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            named = [a.attr for a in node.value.args if isinstance(a, ast.Attribute)]
            assert isinstance(node.targets[0], ast.Name)
            if named:
                found[node.targets[0].id] = named[0]
    assert found == PLUGIN_FOLDERS


def test_nothing_that_may_differ_is_taken_at_import() -> None:
    """Against Ansible's own source: outside of functions nobody reads these constants."""
    root = Path(ansible.plugins.loader.__file__).parents[1]
    taken: set[str] = set()
    for path in root.rglob("*.py"):
        if path.relative_to(root).parts[0] not in ("modules", "galaxy"):
            visitor = AtImport()
            visitor.visit(ast.parse(path.read_text()))
            taken |= visitor.found
    assert "DEFAULT_NO_LOG" in taken
    assert taken & PER_RUN == set()


class AtImport(ast.NodeVisitor):
    """Constants that a module reads while it is imported."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if isinstance(node.value, ast.Name) and node.value.id in ("C", "constants"):
            self.found.add(node.attr)
        self.generic_visit(node)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab with a Python of its own, whose Ansible is a copy that a test may change."""
    lab = Lab(tmp_path_factory.mktemp("copied"))
    (lab.folder / "runs.py").write_text(RUNS)
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(lab.folder / "venv")], check=True
    )
    packages = next((lab.folder / "venv/lib").glob("python3*")) / "site-packages"
    source = Path(ansible.plugins.loader.__file__).parents[2]
    for name in ("ansible", *(p.name for p in source.glob("ansible_core-*"))):
        subprocess.run(["cp", "-al", str(source / name), str(packages / name)], check=True)
    here = Path(__file__).parents[2]
    (packages / "others.pth").write_text(f"{source}\n{here}\n")
    return lab


#: What runs there: a run for each line of standard input, and `warm` or `cold` for each.
RUNS = """\
import sys, time
from pathlib import Path
from tests.local_hosts import Lab
from tests.warm_process import is_warm, wait
from runner.execute.run import run
from runner.execute.warm.client import Warm
import json
lab = Lab(Path(sys.argv[1]))
warm = Warm(lab.folder, keep=True)
for line in sys.stdin:
    if line.strip() == "wait":
        wait(warm)
        print("ready", flush=True)
        continue
    result = run(lab.request(Path(line.strip())), warm=warm)
    events = [json.loads(l) for l in (result.artifacts / "events.jsonl").read_text().splitlines()]
    said = [str(e["res"].get("msg")) for e in events if "res" in e]
    print("warm" if is_warm(result) else "cold", result.outcome, *said, flush=True)
warm.close()
"""


def test_what_ansible_loaded_changed_so_the_next_run_is_cold_and_has_it(copied: Lab) -> None:
    """An action plugin, a filter, a callback, a piece that modules are made of: each in turn."""
    folder = copied.folder
    packages = next((folder / "venv/lib").glob("python3*")) / "site-packages/ansible"
    changes = {
        "plugins/action/debug.py": ("Hello world!", "Hallo Welt!"),
        "plugins/filter/core.py": ("def to_bool(", "def to_bool(*_):\n    return 'new'\ndef _old("),
        "plugins/callback/default.py": ("class CallbackModule", "import os\nclass CallbackModule"),
        "module_utils/basic.py": ("import atexit", "import atexit  # new"),
    }
    play = copied.play(
        "- ansible.builtin.debug:\n- ansible.builtin.debug: {msg: \"{{ 'yes' | bool }}\"}"
    )
    with subprocess.Popen(
        [folder / "venv/bin/python", "-I", folder / "runs.py", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as asked:
        assert asked.stdin is not None
        assert asked.stdout is not None

        def ask(line: object) -> str:
            assert asked.stdin is not None
            assert asked.stdout is not None
            print(line, file=asked.stdin, flush=True)
            return asked.stdout.readline().strip()

        assert ask(play) == "cold no_change Hello world! True"
        assert ask("wait") == "ready"
        assert ask(play) == "warm no_change Hello world! True"
        for name, (old, new) in changes.items():
            file = packages / name
            text = file.read_text()
            assert old in text
            file.unlink()  # it is another name of the file that everybody uses
            file.write_text(text.replace(old, new, 1))
            said = ask(play)
            assert said.startswith("cold no_change"), name
            assert ("Hallo Welt!" in said) is True, name
            assert ("new" in said) is (name != "plugins/action/debug.py"), name
            while ask("wait") != "ready":
                pass
            warm_again = ask(play)
            while warm_again.startswith("cold"):  # the old one was ending when it was asked
                ask("wait")
                warm_again = ask(play)
            assert warm_again == said.replace("cold", "warm")
        asked.stdin.close()
