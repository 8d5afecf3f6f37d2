"""Who connects to the interface and says nothing uses up nothing."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from station.api import server
from tests.support.api_station import Desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with contextlib.closing(Desk(tmp_path)) as desk:
        yield desk


def is_closed(connection: socket.socket) -> bool:
    """True when the station has closed it, waiting for as long as that may take."""
    connection.settimeout(20.0)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("said", [b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"], ids=["nothing", "half a head"])
def test_a_request_that_does_not_come_is_not_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(server, "HEAD_WITHIN_S", 0.2)
    with socket.create_connection(("127.0.0.1", desk.server.port)) as silent:
        silent.sendall(said)
        assert is_closed(silent)
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
