"""Who connects to the interface and says nothing uses up nothing."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from station.api import server
from station.api.server import ApiServer
from station.bootstrap.tls import make_tls_certificate
from station.clock import SystemClock
from station.workflow.feed import EventFeed
from tests.support.api_station import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with contextlib.closing(Desk(tmp_path)) as desk:
        yield desk


def is_closed(connection: socket.socket) -> bool:
    """True when the station has closed it, waiting for as long as that may take."""
    connection.settimeout(20.0)
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(4096):
            pass
    return True


HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
NO_BODY = b"POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
REFUSED_BODY = NO_BODY.replace(b"/session", b"/pieces") + b"{"


@pytest.mark.parametrize(
    "said", [b"", HALF_A_HEAD, NO_BODY, REFUSED_BODY], ids=["nothing", "half a head", "no body", "half a body that is refused"]
)
def test_a_request_that_does_not_come_is_not_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    with monkeypatch.context() as hurried:
        hurried.setattr(server, "REQUEST_WITHIN_S", 0.2)
        with socket.create_connection(("127.0.0.1", desk.server.port)) as silent:
            silent.sendall(said)
            assert is_closed(silent)
    assert desk.client.get("/healthz").status_code == 200


def test_who_says_a_letter_now_and_then_is_not_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_WITHIN_S", 0.5)
    with socket.create_connection(("127.0.0.1", desk.server.port)) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        slow.settimeout(0.05)
        assert any(is_cut_off_after(slow, b"a") for _ in range(200))


def is_cut_off_after(connection: socket.socket, said: bytes) -> bool:
    try:
        connection.sendall(said)
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_who_asks_and_does_not_read_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "UNREAD_WITHIN_S", 0.5)
    cut_off, lost = threading.Event(), server._Protocol.connection_lost

    def note(one: server._Protocol, error: Exception | None) -> None:
        lost(one, error)
        if isinstance(error, TimeoutError):
            cut_off.set()

    monkeypatch.setattr(server._Protocol, "connection_lost", note)
    with contextlib.closing(Desk(tmp_path)) as desk, socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", desk.server.port))
        deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 200)
        assert cut_off.wait(20.0)
        assert desk.client.get("/healthz").status_code == 200


def test_there_are_no_more_connections_than_the_lanes_can_spare(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.client.get("/healthz").status_code == 200
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 2)
    where = ("127.0.0.1", desk.server.port)
    with socket.create_connection(where) as second, socket.create_connection(where) as third:
        assert is_closed(third)
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert second.recv(15) == b"HTTP/1.1 200 OK"
    assert desk.client.get("/healthz").status_code == 200


@contextlib.contextmanager
def by_tls(directory: Path) -> Iterator[tuple[ApiServer, ssl.SSLContext]]:
    """A station without any page, and what trusts it."""
    files = (directory / "console.pem", directory / "console.key")
    make_tls_certificate(*files, ["127.0.0.1"], SystemClock().utc_now())
    serving = ApiServer(FastAPI(), feed=EventFeed(epoch="e"), port=0, tls=files)
    serving.start()
    try:
        yield serving, ssl.create_default_context(cafile=str(files[0]))
    finally:
        serving.stop()


def test_who_begins_no_handshake_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_WITHIN_S", 600.0)
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 2)
    with by_tls(tmp_path) as (serving, trusting):
        where = ("127.0.0.1", serving.port)
        with socket.create_connection(where), socket.create_connection(where) as second, socket.create_connection(where) as third:
            assert is_closed(third)
            with trusting.wrap_socket(second, server_hostname="127.0.0.1") as secure:
                secure.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert secure.recv(12) == b"HTTP/1.1 404"


def test_a_handshake_that_does_not_come_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_WITHIN_S", 0.2)
    with by_tls(tmp_path) as (serving, _), socket.create_connection(("127.0.0.1", serving.port)) as silent:
        assert is_closed(silent)
