"""Serving the application in a thread and event loop of its own, so that a slow page never delays a lane's heartbeat."""

import asyncio
import logging
import math
import os
import socket
import ssl
import threading
from pathlib import Path
from typing import Any
from weakref import WeakSet

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from station.domain.errors import AddressError
from station.workflow.feed import EventFeed

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
REQUEST_WITHIN_S = 10.0
"""From connecting to the end of TLS's handshake, and from a request's first byte to its last; browsers need a round trip or two."""
UNREAD_WITHIN_S = 30.0
"""So long may what was sent stay unread without anything of it being taken."""
MOST_CONNECTIONS = 1000
"""Forty screens with seven each are 280; the process that drives the lanes may open some thousands of files and sockets in all."""
TOLD_EVERY_S = 60.0
_log = logging.getLogger(__name__)


class _Listener(socket.socket):
    """Takes so many connections at a time and no more, whether or not they have got through TLS's handshake.

    Who connects and says nothing must not use up what the lanes need.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._taken = WeakSet[socket.socket]()
        self._told_s = -math.inf

    def accept(self) -> tuple[socket.socket, Any]:
        """As `socket.accept`, on an event loop.

        Raises `ConnectionAbortedError`, which loops pass over, when one was closed because there are enough.
        """
        taken, address = super().accept()
        if sum(one.fileno() >= 0 for one in self._taken) >= MOST_CONNECTIONS:
            taken.close()
            self._tell(asyncio.get_running_loop().time())
            raise ConnectionAbortedError("there are as many connections as may be")
        self._taken.add(taken)
        return taken, address

    def _tell(self, now_s: float) -> None:
        if now_s - self._told_s >= TOLD_EVERY_S:
            self._told_s = now_s
            _log.warning("%d connections to the console are open: whoever else connects is turned away", MOST_CONNECTIONS)


class _Loop(asyncio.SelectorEventLoop):
    """Waits for a handshake no longer than for a request; uvicorn has no setting for it."""

    async def create_server(self, *args: Any, ssl: Any = None, **kwargs: Any) -> asyncio.Server:
        """As `asyncio.loop.create_server`."""
        limit_s = None if ssl is None else REQUEST_WITHIN_S
        return await super().create_server(*args, ssl=ssl, ssl_handshake_timeout=limit_s, **kwargs)


class _Protocol(H11Protocol):
    """Does not wait for ever for a request: who says a byte now and then, or never sends the rest, is cut off."""

    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own has it
        """Somebody connects."""
        super().connection_made(transport)
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        """Somebody says something."""
        super().data_received(data)
        self._wait_for_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Somebody has gone."""
        super().connection_lost(exc)
        self._wait_no_more()

    def _wait_for_request(self) -> None:
        """One limit for the whole request, however many bytes it comes in."""
        if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
            self._wait_no_more()
        elif self._due is None:
            self._due = self.loop.call_later(REQUEST_WITHIN_S, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


class _Server(uvicorn.Server):
    """Tells when it serves."""

    def __init__(self, config: uvicorn.Config, up: threading.Event) -> None:
        super().__init__(config)
        self._up = up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start and tell so."""
        await super().startup(sockets)
        self._up.set()


class ApiServer:
    """A running server.

    Args:
        app: the application.
        feed: closed when the server stops, so that live pages do not keep it open.
        port: TCP port; 0 takes a free one.
        host: a loopback address, or with `tls` any.
        tls: files of the certificate and its key, checked before; then nothing older than TLS 1.2 is spoken.

    Raises:
        AddressError: the port is taken, or cannot be listened on.
    """

    def __init__(self, app: FastAPI, *, feed: EventFeed, port: int, host: str = "127.0.0.1", tls: tuple[Path, Path] | None = None) -> None:
        self._feed = feed
        try:
            made = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
            # Connections have it from their listener; one whose peer takes nothing more would never end, not even by being closed.
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_WITHIN_S * 1000))
            self._socket = _Listener(made.family, made.type, made.proto, fileno=made.detach())
        except OSError as error:
            raise AddressError(
                f"The console cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}",
                consequence="The station does not start",
                remedy="End the program that uses this port, or choose another port",
            ) from error
        self._host = host
        self.port: int = self._socket.getsockname()[1]
        self._scheme = "https" if tls is not None else "http"
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            # Nobody's header says where a request comes from: log-in delays go by the address itself.
            proxy_headers=False,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=30,
            ws="none",
            http=_Protocol,
            ssl_certfile=tls[0] if tls is not None else None,
            ssl_keyfile=tls[1] if tls is not None else None,
        )
        config.load()
        if config.ssl is not None:
            config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        self._started = threading.Event()
        self._server = _Server(config, self._started)
        self._thread = threading.Thread(target=self._run, name="api", daemon=True)

    @property
    def url(self) -> str:
        """Where it can be reached."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{self._scheme}://{host}:{self.port}"

    def start(self) -> None:
        """Start serving; returns when the application is up."""
        self._thread.start()
        if not self._started.wait(_START_TIMEOUT_S) or not self._server.started:
            raise AddressError(f"The console did not start on {self.url}", remedy="Look at the log")

    def stop(self) -> None:
        """End live streams, finish what runs, and close the port."""
        self._feed.close()
        self._server.should_exit = True
        self._thread.join(_STOP_TIMEOUT_S)
        self._socket.close()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_Loop) as runner:
                runner.run(self._server.serve(sockets=[self._socket]))
        finally:
            self._started.set()
