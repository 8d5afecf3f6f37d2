"""Serving the application in a thread and event loop of its own, so that a slow page never delays a lane's heartbeat."""

import asyncio
import os
import socket
import ssl
import threading
from pathlib import Path

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from station.domain.errors import AddressError
from station.workflow.feed import EventFeed

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0
HEAD_WITHIN_S = 10.0
"""From connecting to the end of a request's head; browsers send it within a round trip."""
MOST_CONNECTIONS = 1000
"""Forty screens with seven each are 280; the process that drives the lanes may open some thousands of files and sockets in all."""


class _Protocol(H11Protocol):
    """Does not wait for ever for a request, nor for everybody: who connects and says nothing must not use up what the lanes need."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own has it
        """Somebody connects."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Somebody says something."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None:
            self._wait_for_head()

    def _wait_for_head(self) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(HEAD_WITHIN_S, self.timeout_keep_alive_handler)


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
            self._socket = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
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
            asyncio.run(self._server.serve(sockets=[self._socket]))
        finally:
            self._started.set()
