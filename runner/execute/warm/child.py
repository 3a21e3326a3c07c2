"""Makes a fork of the warm process what a process of its own would be.

Everything that Ansible keeps of the process it was imported in is set anew: environment, folder,
standard streams, configuration, display, colours, temporary folder, exit hooks. What it cannot
set anew must be equal, else `Differs` is raised, and the command runs cold.
"""

from __future__ import annotations

import atexit
import itertools
import json
import locale
import os
import pty
import resource
import signal
import socket
import struct
import sys
import tempfile
import termios
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

#: Constants that Ansible reads when it needs them, or that are handed on here.
PER_RUN = frozenset(
    {
        "CONFIG_FILE", "COLLECTIONS_PATHS", "DEFAULT_LOCAL_TMP", "DEFAULT_ROLES_PATH",
        "DEFAULT_STDOUT_CALLBACK", "RETRY_FILES_ENABLED",
    }
)  # fmt: skip
#: Constants that only a play reads: they may differ where an inventory is read.
OF_PLAYS = frozenset(
    {
        "ANSIBLE_NOCOWS", "ANSIBLE_PIPELINING", "DEFAULT_ASK_PASS", "DEFAULT_ASK_VAULT_PASS",
        "DEFAULT_BECOME_ASK_PASS", "DISPLAY_TRACEBACK",
        "HOST_KEY_CHECKING", "INVENTORY_ANY_UNPARSED_IS_FAILED",
    }
)  # fmt: skip
#: Ansible's loaders of plugins, and the constant in which each of them was told its folders.
PLUGIN_FOLDERS = {
    "action_loader": "DEFAULT_ACTION_PLUGIN_PATH",
    "become_loader": "BECOME_PLUGIN_PATH",
    "cache_loader": "DEFAULT_CACHE_PLUGIN_PATH",
    "callback_loader": "DEFAULT_CALLBACK_PLUGIN_PATH",
    "cliconf_loader": "DEFAULT_CLICONF_PLUGIN_PATH",
    "connection_loader": "DEFAULT_CONNECTION_PLUGIN_PATH",
    "filter_loader": "DEFAULT_FILTER_PLUGIN_PATH",
    "fragment_loader": "DOC_FRAGMENT_PLUGIN_PATH",
    "httpapi_loader": "DEFAULT_HTTPAPI_PLUGIN_PATH",
    "inventory_loader": "DEFAULT_INVENTORY_PLUGIN_PATH",
    "lookup_loader": "DEFAULT_LOOKUP_PLUGIN_PATH",
    "module_loader": "DEFAULT_MODULE_PATH",
    "module_utils_loader": "DEFAULT_MODULE_UTILS_PATH",
    "netconf_loader": "DEFAULT_NETCONF_PLUGIN_PATH",
    "ps_module_utils_loader": "DEFAULT_MODULE_UTILS_PATH",
    "strategy_loader": "DEFAULT_STRATEGY_PLUGIN_PATH",
    "terminal_loader": "DEFAULT_TERMINAL_PLUGIN_PATH",
    "test_loader": "DEFAULT_TEST_PLUGIN_PATH",
    "vars_loader": "DEFAULT_VARS_PLUGIN_PATH",
}
#: What the interpreter, the C library and Ansible's start took from the environment for good.
_AT_START = ("LANG", "LANGUAGE", "LC_", "PYTHON", "LD_", "MALLOC_", "GLIBC_", "HOME")


class Differs(Exception):
    """What a cold process would do otherwise; a few words."""


def at_start(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that count only at a process's start."""
    return {name: of for name, of in environment.items() if name.startswith(_AT_START)}


def settle(
    environment: Mapping[str, str],
    folder: str,
    *,
    before: Mapping[str, str],
    may_differ: frozenset[str] = frozenset(),
) -> None:
    """Become a process with this environment in this folder, as far as Ansible can tell.

    `before` is the environment in which Ansible was imported. Raises Differs, before anything of
    a project is read.
    """
    if at_start(before) != at_start(environment):
        raise Differs("what only a process's start can read of the environment differs")
    take_over(environment, folder)
    locale.setlocale(locale.LC_ALL, "")
    _configure(before, may_differ)
    # What Ansible made at its import, and would make anew in each process.
    import importlib
    import secrets

    from ansible import constants
    from ansible.utils import color, vars
    from ansible.utils.display import Display

    vars.random_int = f"{secrets.randbelow(vars._MAXSIZE):08x}"[:8]  # ids of tasks begin with it
    if not constants.ANSIBLE_NOCOLOR:
        importlib.reload(color)  # it asks the terminal
    Display().__init__()  # streams, width, and what was warned of


def take_over(environment: Mapping[str, str], folder: str) -> None:
    """This environment, this folder, and the streams of the descriptors 0 to 2."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    tempfile.tempdir = None
    time.tzset()
    # The streams as Python opens them at its start.
    assert sys.__stdin__ is not None
    plain = sys.__stdin__.errors  # Ansible has changed it for the others
    for number, name, mode, errors in (
        (0, "stdin", "r", plain),
        (1, "stdout", "w", plain),
        (2, "stderr", "w", "backslashreplace"),
    ):
        by_line = number == 2 or (number == 1 and os.isatty(number))
        stream = open(
            number, mode, 1 if by_line else -1, encoding="utf-8", errors=errors, closefd=False
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _configure(before: Mapping[str, str], may_differ: frozenset[str]) -> None:
    """Read again every setting that a variable of the environment decides."""
    from ansible import constants
    from ansible.config import manager
    from ansible.plugins import loader

    config = constants.config
    atexit.unregister(manager.cleanup_tmp_file)  # that folder is the parent's
    config.WARNINGS.clear()
    config.DEPRECATED.clear()
    path = manager.find_ini_config_file(config.WARNINGS)
    if path != config._config_file:  # another one can be used where both are empty
        if _text(path).strip() or _text(config._config_file).strip():
            raise Differs("another ansible.cfg is used")
        config._config_file = path
        config._parsers.clear()
        config._get_ini_config_value.cache_clear()
        if path:
            config._parse_config_file()
    variables = vars(constants)
    may_differ = may_differ | PER_RUN | set(PLUGIN_FOLDERS.values())
    for name, definition in config.get_configuration_definitions().items():
        named = {each["name"] for each in definition.get("env") or ()}
        if name != "CONFIG_FILE" and not any(
            each in os.environ or each in before for each in named
        ):
            continue
        value = config.get_config_value(name, variables=variables)
        if name not in may_differ and value != variables.get(name):
            raise Differs(f"the setting {name} differs")
        constants.set_constant(name, value)
    for each, name in PLUGIN_FOLDERS.items():
        folders = variables[name]
        plugins = getattr(loader, each)
        plugins.config = list(folders) if isinstance(folders, list) else [folders] * bool(folders)


def _text(path: str | None) -> bytes:
    if path is None:
        return b""
    with open(path, "rb") as file:
        return file.read()


def finish(main: Callable[[], Any]) -> NoReturn:
    """Run `main` and end as Python ends a program, without what lies below on the stack."""
    code: Any = 1
    try:
        code = main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    try:
        import threading

        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        code = code or 120
    os._exit((code or 0) & 0xFF)


class Playing:
    """ansible-playbook as a fork of a supervisor that is a fork itself.

    Made while the supervisor has one thread. It waits at a pseudo-terminal of its own, as
    pexpect would have made it, until `begin` tells it what to be. `before` is the environment
    in which Ansible was imported; `tell` is told why it cannot be what it should.
    """

    def __init__(self, before: Mapping[str, str], tell: Callable[[str], object]) -> None:
        ours, theirs = socket.socketpair()
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            ours.close()
            _wait_and_play(theirs, before)
        theirs.close()
        self._talk, self._tell = ours, tell
        self.began = False

    def begin(
        self, arguments: list[bytes], environment: Mapping[Any, Any], folder: str | None
    ) -> bool:
        """Be this command. False when only a cold process can; then the fork is gone."""
        asked = {
            "arguments": [os.fsdecode(each) for each in arguments],
            "environment": {
                os.fsdecode(name): os.fsdecode(value) for name, value in environment.items()
            },
            "folder": folder or os.getcwd(),
        }
        try:
            send(self._talk, asked)
            answer = receive(self._talk)
        except OSError:
            answer = {"differs": "it went away"}
        self._talk.close()
        if "differs" in answer:
            self._tell(answer["differs"])
            os.close(self.terminal)
            os.waitpid(self.pid, 0)
            return False
        self.began = True
        return True


def _wait_and_play(talk: socket.socket, before: Mapping[str, str]) -> NoReturn:
    """In the fork: wait for what to be, say whether that is possible, and be it."""

    def main() -> Any:
        close_all(keep={talk.fileno()})
        try:
            asked = receive(talk)
        except OSError:
            os._exit(0)  # the supervisor went away, or there is nothing to play
        # The terminal as ptyprocess sets it up: 24 lines of 80 columns, and no echo.
        import fcntl

        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        attributes = termios.tcgetattr(0)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(0, termios.TCSANOW, attributes)
        try:
            settle(asked["environment"], asked["folder"], before=before)
            answer = {}
        except Differs as why:
            answer = {"differs": str(why)}
        except Exception as error:
            answer = {"differs": f"{type(error).__name__}: {error}"[:300]}
        send(talk, answer)
        if answer:
            os._exit(0)
        talk.close()
        # python -P watched.py WATCH OPTIONS…
        sys.argv = asked["arguments"][2:]
        from runner.execute import watched

        return watched.main()

    finish(main)


def close_all(keep: set[int]) -> None:
    """Close every descriptor above 2, except those."""
    most = min(1048576, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    edges = [2, *sorted(keep), most]
    for low, high in itertools.pairwise(edges):
        os.closerange(low + 1, high)


def default_signals() -> None:
    """As at a program's start."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def refuse_stranger(connection: socket.socket) -> None:
    """Raises OSError where another user is at the other end."""
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    if struct.unpack("3i", peer)[1] != os.getuid():
        raise OSError("it is another user's")


def send(to: socket.socket, message: Mapping[str, Any]) -> None:
    """One message: its length in four bytes, then JSON."""
    text = json.dumps(message).encode("utf-8", "surrogateescape")
    to.sendall(struct.pack("!I", len(text)) + text)


def receive(source: socket.socket) -> dict[str, Any]:
    """The next message. Raises OSError when the other side went away, or says too much."""
    (length,) = struct.unpack("!I", _exactly(source, 4))
    if length > 16 * 2**20:
        raise OSError("the message is too long")
    found = json.loads(_exactly(source, length))
    if not isinstance(found, dict):
        raise OSError("the message is no object")
    return found


def _exactly(source: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = source.recv(size - len(parts))
        if not part:
            raise OSError("the other side went away")
        parts += part
    return parts
