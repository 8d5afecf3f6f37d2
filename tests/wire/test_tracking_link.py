"""What a server sends is counted as it comes: nothing is unpacked, and no list goes on beyond the signed word."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from station.ports.tracking import ReceiverUnreachableError
from station.tracking.http import HttpLink
from station.tracking.questions import Questions
from station.tracking.reconciliation import HttpCounterpart, source_of
from station.tracking.trust import TrustedKey
from tests.support.store_facts import NOON
from tests.support.tracking_wire import RECEIVER_KEY, SIGNING, utc_now

DAY = NOON.date()
MIB = 1 << 20


@asynccontextmanager
async def answering(asked: list[bytes], body: bytes, *headers: str, status: str = "200 OK", chunked: bool = False) -> AsyncIterator[str]:
    """A server that answers each request with these very bytes; `asked` are the heads of the requests."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.lower())
        length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        await reader.readexactly(length)
        framing = "transfer-encoding: chunked" if chunked else f"content-length: {len(body)}"
        lines = [f"HTTP/1.1 {status}", framing, "connection: close", *headers, "", ""]
        framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
        try:
            writer.write("\r\n".join(lines).encode() + framed)
            await writer.drain()
        except ConnectionError:
            # The other side had enough.
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def asked_once(url: str) -> str:
    link = HttpLink(url, timeout_s=5.0)
    try:
        return (await link.request("GET", "/", b"", {})).text
    finally:
        await link.close()


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "GZIP", "zstd", "br"])
async def test_a_packed_answer_is_not_unpacked(encoding: str):
    body, asked = b"0" * 1000, list[bytes]()
    for _ in encoding.split(","):
        body = gzip.compress(body)
    async with answering(asked, body, f"content-encoding: {encoding}") as url:
        with pytest.raises(ReceiverUnreachableError, match="packed"):
            await asked_once(url)
    assert b"accept-encoding: identity\r\n" in asked[0]


@pytest.mark.parametrize("chunked", [False, True])
async def test_an_answer_is_taken_up_to_its_limit(chunked: bool):
    async with answering([], b"0" * MIB, "content-encoding: identity", chunked=chunked) as url:
        assert len(await asked_once(url)) == MIB
    async with answering([], b"0" * (MIB + 1), chunked=chunked) as url:
        with pytest.raises(ReceiverUnreachableError, match="too large"):
            await asked_once(url)


def counterpart(url: str) -> HttpCounterpart:
    trusted = (TrustedKey(public=RECEIVER_KEY.public_key(), name=""),)
    return HttpCounterpart(Questions(link=HttpLink(url), source=source_of("TEST"), signing=SIGNING, utc_now=utc_now), trusted)


async def test_a_list_is_not_asked_on_beyond_what_was_said():
    listed = [[f"P{number}", 1, f"TEST:P{number}:1", "00" * 32] for number in range(100)]
    asked: list[bytes] = []
    async with answering(asked, json.dumps({"events": listed, "next": 1}).encode()) as url:
        other = counterpart(url)
        found = await other.events(DAY, said=250)
        await other.close()
    assert (len(found), len(asked)) == (300, 3)


@pytest.mark.parametrize("row", [["P\x1b[2J", 1, "e", "0"], ["P", 1, "e" * 201, "0"], ["P", 1, 7, "0"], ["P", "1\x1b", "e", "0"], ["P", 1]])
async def test_what_no_event_has_is_not_taken_from_a_list(row: list[Any]):
    async with answering([], json.dumps({"events": [row], "next": None}).encode()) as url:
        other = counterpart(url)
        with pytest.raises(ReceiverUnreachableError) as refused:
            await other.events(DAY, said=1)
        await other.close()
    assert str(refused.value).isprintable()


async def test_what_a_receiver_answers_is_not_shown_as_it_came():
    async with answering([], b"\x1b[2Jgone", status="404 Not Found") as url:
        other = counterpart(url)
        with pytest.raises(ReceiverUnreachableError, match="404") as refused:
            await other.statement(DAY)
        await other.close()
    assert str(refused.value).isprintable()
