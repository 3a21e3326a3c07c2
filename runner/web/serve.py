"""uvicorn, started and stopped by the program instead of the other way round."""

from __future__ import annotations

import errno
import socket
import threading
import time
from functools import partial
from typing import Any, cast

import uvicorn
from fastapi import FastAPI

from runner.config import Listen
from runner.errors import ConfigError, RunnerError
from runner.web.connections import Connections, Watched, raise_descriptors, room

START_SECONDS = 30.0
GRACE_SECONDS = 5  #: for requests that are being answered at the stop
KEEP_ALIVE_SECONDS = 75
MAX_HEADERS = 32 * 1024  #: bytes
BACKLOG = 2048  #: connections that the system keeps for us until we accept them
#: Connections accepted in one turn of the loop. asyncio tries, and complains, so often when there
#: is no descriptor left, and it also sets the backlog to it: that is put right after the start.
ACCEPTED_AT_ONCE = 16


class Server:
    """The web on one socket, in a thread of its own; no signal handler is touched."""

    def __init__(self, app: FastAPI, listen: Listen, taken: socket.socket | None = None) -> None:
        """Takes the port, or uses the socket that has it. Raises ConfigError, a sentence, when it
        cannot be had."""
        self._app = app
        self._socket = taken or bound(listen.host, listen.port)
        self.url = url_of(self._socket)
        self.descriptors = raise_descriptors()
        self.room = room(listen.limits, self.descriptors)
        connections = Connections(listen.limits, self.room, app.state.metrics.closed)
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                app,
                http=cast("type[Any]", partial(Watched, connections)),
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                proxy_headers=False,
                backlog=ACCEPTED_AT_ONCE,
                h11_max_incomplete_event_size=MAX_HEADERS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._thread = threading.Thread(
            target=self._uvicorn.run, kwargs={"sockets": [self._socket]}, name="web"
        )

    def start(self) -> None:
        """Returns once requests are answered. Raises RunnerError when they will not be."""
        self._thread.start()
        ends = time.monotonic() + START_SECONDS
        while not self._uvicorn.started:
            if not self._thread.is_alive() or time.monotonic() > ends:
                self.stop()
                raise RunnerError("The web server did not start; the log says why.")
            time.sleep(0.01)
        self._socket.listen(BACKLOG)

    def stop(self) -> None:
        """Takes no new request, finishes those under way, and returns."""
        self._app.state.feed.close()
        self._uvicorn.should_exit = True
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()

    @property
    def alive(self) -> bool:
        """Whether it is still answering."""
        return self._thread.is_alive()


def bound(host: str, port: int) -> socket.socket:
    """A listening socket's beginning. Raises ConfigError with a sentence."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except socket.gaierror as error:
        raise ConfigError(f"listen.host: {host} is no address ({error.strerror})") from None
    # With the protocol named, asyncio turns Nagle's algorithm off, which costs 40 ms an answer.
    family, kind, protocol, _, address = found[0]
    taken = socket.socket(family, kind, protocol)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
        taken.listen(BACKLOG)
    except OSError as error:
        taken.close()
        why = {
            errno.EADDRINUSE: "is taken by another program; stop it or set another listen.port",
            errno.EACCES: "needs more rights; set a listen.port above 1023",
            errno.EADDRNOTAVAIL: "is not an address of this machine; set listen.host",
        }.get(error.errno or 0, f"cannot be used ({error.strerror})")
        raise ConfigError(f"listen: {host}:{port} {why}") from None
    return taken


def url_of(taken: socket.socket) -> str:
    """Where it answers, with the port that was taken when 0 was asked for."""
    host, port = taken.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
