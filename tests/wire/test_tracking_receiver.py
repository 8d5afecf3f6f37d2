"""The reference receiver believes nobody without a signature, and nothing takes effect twice or out of order."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from station.api.receiver_trust import TrustedStation
from station.domain.errors import StoreError
from station.domain.events import PieceStatus
from station.storage.receiver_store import SqliteReceiverLedger
from station.tracking.message import MessageRules
from station.tracking.signatures import Signing, read_receipt, receipt_holds, webhook_headers
from tests.support.store_facts import event
from tests.support.tracking_wire import RECEIVER_KEY, SIGNING, STATION, serving, utc_now

RULES = MessageRules(site="TEST")
SECRET = b"s" * 24
TIME = "2026-11-20T05:00:00Z"
EVENT = {"id": "x", "source": "s", "subject": "p", "sequence": 1, "type": "t", "time": TIME}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    ledger = SqliteReceiverLedger(tmp_path)
    async with (
        serving(ledger, stations=(STATION, TrustedStation(secrets=(SECRET,)))) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as one,
    ):
        yield one
    ledger.close()


def rendered(sequence: int, piece_id: str = "P1", status: PieceStatus = PieceStatus.ARRIVED) -> tuple[str, bytes]:
    message = RULES.render(event(piece_id, status), sequence)
    return message.event_id, message.body.encode()


async def post(client: httpx.AsyncClient, event_id: str, body: bytes, **headers: str) -> httpx.Response:
    return await client.post("/events", content=body, headers={**webhook_headers(event_id, body, utc_now(), SIGNING), **headers})


async def ask(client: httpx.AsyncClient, what: str, *, source: str, signing: Signing = SIGNING, **members: Any) -> httpx.Response:
    body = json.dumps({"asks": what, "source": source, **members}).encode()
    return await client.post(f"/{what}", content=body, headers=webhook_headers(what, body, utc_now(), signing))


async def effects(client: httpx.AsyncClient) -> int:
    counts = [(await ask(client, "status", source=source)).json() for source in ("urn:kt1:site:TEST", "s")]
    return sum(count["events"] for count in counts)


async def test_a_receipt_is_signed_and_the_same_for_a_duplicate(client: httpx.AsyncClient):
    event_id, body = rendered(1)
    first, second = await post(client, event_id, body), await post(client, event_id, body)
    assert first.status_code == second.status_code == 200
    assert first.text == second.text
    receipt = read_receipt(first.text)
    assert receipt is not None
    assert (receipt.id, receipt.subject, receipt.sequence) == ("TEST:P1:1", "P1", 1)
    assert receipt_holds(receipt, RECEIVER_KEY.public_key())
    assert await effects(client) == 1


async def test_a_gap_is_told_and_has_no_effect(client: httpx.AsyncClient):
    late = await post(client, *rendered(3))
    assert (late.status_code, late.json()["type"], late.json()["expected_sequence"]) == (409, "kt1:sequence-gap", 1)
    assert late.headers["content-type"] == "application/problem+json"
    await post(client, *rendered(1))
    assert (await post(client, *rendered(3))).json()["expected_sequence"] == 2
    assert await effects(client) == 1


async def test_another_body_under_the_same_id_is_refused(client: httpx.AsyncClient):
    await post(client, *rendered(1))
    other = await post(client, *rendered(1, status=PieceStatus.RELEASED))
    assert (other.status_code, other.json()["type"]) == (409, "kt1:body-differs")
    assert await effects(client) == 1


async def test_shared_secrets_count_too(client: httpx.AsyncClient):
    event_id, body = rendered(1)
    answer = await client.post("/events", content=body, headers=webhook_headers(event_id, body, utc_now(), Signing(secrets=(SECRET,))))
    assert answer.status_code == 200


@pytest.mark.parametrize("change", ["body", "id", "timestamp", "signature", "none", "version", "base64", "not-ascii"])
async def test_a_changed_attempt_is_refused(client: httpx.AsyncClient, change: str):
    event_id, body = rendered(1)
    headers = webhook_headers(event_id, body, utc_now(), SIGNING)
    if change == "body":
        body = body.replace(b"OBSERVE", b"DELETE")
    elif change == "none":
        headers = {}
    else:
        name = {"id": "webhook-id", "timestamp": "webhook-timestamp"}.get(change, "webhook-signature")
        headers[name] = {
            "id": "TEST:P1:2",
            "timestamp": str(int(headers["webhook-timestamp"]) + 1),
            "signature": headers["webhook-signature"][:-8] + "AAAAAAA=",
            "version": headers["webhook-signature"].replace("v1a", "v1"),
            "base64": "v1a,###",
            "not-ascii": "v1a,\xe9",
        }[change]
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = await client.post("/events", content=body, headers=sent)
    assert (answer.status_code, answer.json()["type"]) == (401, "kt1:signature-wrong")
    assert await effects(client) == 0


@pytest.mark.parametrize("minutes", [-6, 6])
async def test_an_old_or_future_attempt_is_refused(client: httpx.AsyncClient, minutes: int):
    event_id, body = rendered(1)
    headers = webhook_headers(event_id, body, utc_now() + timedelta(minutes=minutes), SIGNING)
    answer = await client.post("/events", content=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (401, "kt1:timestamp-stale")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b'{"id": "x"}',
        json.dumps({"id": "x", "source": "s", "subject": "p", "sequence": "1", "type": "t", "time": TIME}).encode(),
        json.dumps({"id": "x", "source": "s", "subject": "p", "sequence": 0, "type": "t", "time": TIME}).encode(),
        json.dumps({"id": "x", "source": "s", "subject": "", "sequence": 1, "type": "t", "time": TIME}).encode(),
        json.dumps({"id": "y", "source": "s", "subject": "p", "sequence": 1, "type": "t", "time": TIME}).encode(),
        json.dumps({"id": "x", "source": 7, "subject": "p", "sequence": 1, "type": "t", "time": TIME}).encode(),
        json.dumps({"id": "x", "source": "s", "subject": "p", "sequence": 1, "type": "t"}).encode(),
        json.dumps({"id": "x", "source": "s", "subject": "p", "sequence": 1, "type": "t", "time": "2026-11-20T05:00:00"}).encode(),
        *(json.dumps(EVENT | {"subject": subject}).encode() for subject in ("p\0", "p\u202e", "\ud800", "p" * 201)),
        *(json.dumps(EVENT | {"sequence": sequence}).encode() for sequence in (2**31, 2**64, 10**400, True)),
        json.dumps(EVENT).encode("utf-16-le"),
        json.dumps(EVENT | {"data": float("nan")}).encode(),
        json.dumps(EVENT).encode()[:-1] + b', "data": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
async def test_what_is_no_event_is_refused(client: httpx.AsyncClient, body: bytes):
    answer = await post(client, "x", body)
    assert (answer.status_code, answer.json()["type"]) == (400, "kt1:event-malformed")
    assert await effects(client) == 0


async def test_what_an_event_says_is_listed_word_for_word(client: httpx.AsyncClient):
    data = '{"a": 1, "a": "\\ud800 \u202e", "deep": ' + "[" * 500 + "]" * 500 + ', "huge": 1e999}'
    body = f'{json.dumps(EVENT)[:-1]}, "data": {data}}}'.encode()
    assert (await post(client, "x", body)).status_code == 200
    answer = await ask(client, "effects", source="s")
    assert body in answer.content
    assert answer.json()["effects"][0]["number"] == answer.json()["next_after"] == 1


async def test_each_site_sees_its_own_effects_and_nobody_else_sees_any(tmp_path: Path):
    ledger, other = SqliteReceiverLedger(tmp_path), Signing(secrets=(SECRET,))
    stations = (replace(STATION, source="urn:kt1:site:TEST"), TrustedStation(source="urn:kt1:site:OTHER", secrets=(SECRET,)))
    async with serving(ledger, stations=stations) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        event_id, event_body = rendered(1)
        await post(client, event_id, event_body)
        for what in ("status", "effects"):
            for path in (f"/{what}", "/pieces/P1"):
                assert (await client.get(path)).status_code in {404, 405}
            assert (await ask(client, what, source="urn:kt1:site:TEST")).status_code == 200
            foreign = await ask(client, what, source="urn:kt1:site:TEST", signing=other)
            assert (foreign.status_code, foreign.json()["type"]) == (403, "kt1:source-foreign")
            nobody = await client.post(f"/{what}", json={"asks": what, "source": "urn:kt1:site:TEST"})
            assert (nobody.status_code, nobody.json()["type"]) == (401, "kt1:signature-wrong")
            # What was signed to be an event opens nothing to whoever took it down.
            taken = await client.post(f"/{what}", content=event_body, headers=webhook_headers(event_id, event_body, utc_now(), SIGNING))
            assert (taken.status_code, taken.json()["type"]) == (400, "kt1:request-malformed")
            mine = (await ask(client, what, source="urn:kt1:site:OTHER", signing=other)).json()
            assert mine.get("events", 0) == len(mine.get("effects", [])) == 0
        for wrong in ({"after": -1}, {"after": 2**63}, {"after": True}, {"limit": 0}, {"limit": 5001}):
            assert (await ask(client, "effects", source="urn:kt1:site:TEST", **wrong)).json()["type"] == "kt1:request-malformed"
    ledger.close()


async def test_a_huge_event_is_refused(client: httpx.AsyncClient):
    assert (await post(client, "x", b" " * (300 << 10))).status_code == 413


async def test_effects_are_kept_and_one_process_owns_them(tmp_path: Path):
    ledger = SqliteReceiverLedger(tmp_path)
    async with serving(ledger) as url, httpx.AsyncClient(base_url=url, trust_env=False) as one:
        await post(one, *rendered(1))
    with pytest.raises(StoreError, match="in use"):
        SqliteReceiverLedger(tmp_path)
    ledger.close()
    ledger = SqliteReceiverLedger(tmp_path)
    assert ledger.counts().events == 1
    ledger.close()
    with pytest.raises(StoreError):
        SqliteReceiverLedger(Path("/proc/kt1-receiver"))
