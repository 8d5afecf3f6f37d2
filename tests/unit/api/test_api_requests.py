"""The interface's own rules: announcing, keys, sizes, hosts, headers, problems, decisions, health."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from station.api.app import ANSWERS_AT_ONCE
from station.api.server import ApiServer
from station.cli.errors import EXIT_UNREACHABLE, exit_code_of
from station.domain.errors import AddressError
from station.domain.piece import PieceState, Secrecy, Urgency
from station.domain.review import OperatorDecision
from tests.support.api_station import LANE, Desk


def advice(piece_id: str, **more: Any) -> dict[str, Any]:
    return {"piece_id": piece_id, "secrecy": None} | more


def test_announcing_twice_is_announcing_once(desk: Desk) -> None:
    body = advice(desk.new_id(), urgency="hoa_toc", destination="VP-07", weight_g=21.5)
    first, again = desk.post("/pieces", body), desk.post("/pieces", body)
    assert (first.status_code, first.json()) == (201, {"piece_id": body["piece_id"], "state": "announced", "visit": 0})
    assert again.json() == first.json()
    page = desk.get("/pieces?state=announced")
    assert [(item["destination"], item["urgency"]) for item in page["items"]] == [("VP-07", "hoa_toc")]


def test_a_level_that_is_not_known_counts_as_the_highest(desk: Desk) -> None:
    for said, stored in ((None, None), ("B", "B"), ("A", "A"), ("Z", "A"), ("", "A"), ("tuyệt mật", "A")):
        piece_id = desk.new_id()
        assert desk.post("/pieces", advice(piece_id, secrecy=said)).status_code == 201
        assert desk.get(f"/pieces/{piece_id}")["secrecy"] == stored


def test_bad_advice_is_refused_with_a_reason(desk: Desk) -> None:
    for body, code in (
        ({"piece_id": "EE473124829VN"}, "request-invalid"),
        (advice("EE473124820VN"), "identifier-malformed"),
        (advice("TEST-1"), "id-reserved"),
        (advice("LOCAL-lane-1-1"), "identifier-malformed"),
        (advice("EE473124829VN", title="secret"), "request-invalid"),
        (advice("EE473124829VN", weight_g=-1), "request-invalid"),
        (advice("EE473124829VN", weight_g="NaN"), "request-invalid"),
        (advice("EE473124829VN", destination="a\x00b"), "request-invalid"),
        (advice("<script>alert(1)</script>"), "request-invalid"),
        (advice("EE473124829VN", kind="bomb"), "request-invalid"),
    ):
        answer = desk.post("/pieces", body)
        assert (answer.json()["code"], answer.headers["content-type"]) == (code, "application/problem+json"), body
    assert desk.get("/pieces")["items"] == []


def test_advice_changes_until_the_piece_has_come(desk: Desk) -> None:
    piece_id = desk.new_id()
    assert desk.post("/pieces", advice(piece_id)).status_code == 201
    assert desk.post("/pieces", advice(piece_id, secrecy="B", weight_g=70)).status_code == 201
    assert desk.get(f"/pieces/{piece_id}")["secrecy"] == "B"
    desk.write(lambda unit: unit.change_state(piece_id, PieceState.ARRIVED, desk.clock.utc_now(), lane_id="lane-1", visit=1))
    assert desk.post("/pieces", advice(piece_id, secrecy="B", weight_g=70)).json()["state"] == "arrived"
    late = desk.post("/pieces", advice(piece_id, secrecy="C", weight_g=71))
    assert (late.status_code, late.json()["code"]) == (409, "announcement-too-late")
    assert "is already arrived and was announced otherwise (differs in secrecy, weight_g)" in late.json()["detail"]
    cancel = desk.post(f"/pieces/{piece_id}/cancel")
    assert (cancel.status_code, cancel.json()["code"]) == (409, "cancel-too-late")
    assert desk.get(f"/pieces/{piece_id}")["secrecy"] == "B"
    assert desk.events == []


def test_a_withdrawn_piece_stays_withdrawn(desk: Desk) -> None:
    piece_id = desk.new_id()
    assert desk.post(f"/pieces/{piece_id}/cancel").status_code == 404
    desk.post("/pieces", advice(piece_id))
    for _ in range(2):
        assert desk.post(f"/pieces/{piece_id}/cancel").json()["state"] == "cancelled"
    for again in (advice(piece_id), advice(piece_id, weight_g=70)):
        answer = desk.post("/pieces", again)
        assert (answer.status_code, answer.json()["code"]) == (409, "piece-withdrawn")
        assert set(answer.json()["titles"]) == {"vi", "en"}
    assert [event.status for event in desk.events] == ["cancelled"]


def test_lists_are_paged_by_cursor_urgent_and_marked_first(desk: Desk) -> None:
    plain = [desk.put_piece()[0] for _ in range(3)]
    marked, _ = desk.put_piece(secrecy=Secrecy.B)
    urgent, _ = desk.put_piece(urgency=Urgency.EXPRESS)
    seen, after = [], ""
    while True:
        page = desk.get(f"/pieces?limit=2{after}")
        seen += [item["piece_id"] for item in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert set(seen[:2]) == {marked, urgent}
    assert seen[2:] == plain
    assert [item["piece_id"] for item in desk.get("/reviews")["items"]] == seen
    assert desk.client.get("/api/v1/pieces?after=nobody").status_code == 404


def test_a_piece_that_is_not_there_is_a_problem_in_both_languages(desk: Desk) -> None:
    answer = desk.client.get("/api/v1/pieces/EE000000005VN", headers={"Accept-Language": "en-GB,en;q=0.9"})
    assert answer.status_code == 404
    body = answer.json()
    assert (body["type"], body["code"], body["status"]) == ("urn:kt1:problem:not-found", "not-found", 404)
    assert body["title"] == body["titles"]["en"] != body["titles"]["vi"]
    assert desk.client.get("/api/v1/nowhere").json()["title"] == body["titles"]["vi"]
    assert desk.client.put("/api/v1/pieces").json()["code"] == "method-not-allowed"


def test_a_write_needs_a_key(desk: Desk) -> None:
    body = json.dumps(advice("EE473124829VN"))
    headers = {"Content-Type": "application/json"}
    assert desk.client.post("/api/v1/pieces", content=body, headers=headers).json()["code"] == "idempotency-key-missing"


def test_a_key_is_its_callers_own(desk: Desk) -> None:
    body = advice(desk.new_id())
    assert desk.post("/pieces", body, key="1", person="an").status_code == 201
    assert desk.post("/pieces", advice(desk.new_id()), key="1", person="binh").status_code == 201
    assert desk.post("/pieces", advice(desk.new_id()), key="1", person="an").json()["code"] == "idempotency-key-reused"


def test_a_large_request_is_refused(desk: Desk) -> None:
    big = b'{"piece_id": "' + b"x" * 70_000 + b'"}'
    headers = {"Idempotency-Key": "1", "Content-Type": "application/json"}
    assert desk.client.post("/api/v1/pieces", content=big, headers=headers).status_code == 413
    chunked = desk.client.post("/api/v1/pieces", content=iter([big[:40_000], big[40_000:]]), headers=headers)
    assert (chunked.status_code, chunked.json()["code"]) == (413, "request-too-large")


def test_a_foreign_host_name_is_refused(desk: Desk) -> None:
    answer = desk.client.get("/api/v1/pieces", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (400, "host-unknown")
    assert desk.client.get("/healthz", headers={"Host": f"localhost:{desk.server.port}"}).status_code == 200


def test_pictures_come_with_the_piece_they_are_of(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece()
    other, _ = desk.put_piece()
    for name in ("view.png", "heat.png"):
        answer = desk.client.get(f"/api/v1/scans/{sha256}/{name}", params={"piece": piece_id})
        assert (answer.status_code, answer.headers["content-type"], answer.content[:4]) == (200, "image/png", b"\x89PNG")
        assert answer.headers["cache-control"] == "no-store"
        assert desk.client.get(f"/api/v1/scans/{sha256}/{name}", params={"piece": other}).status_code == 404
    assert desk.get(f"/scans/{sha256}?piece={piece_id}")["score"] == 0.7


@pytest.mark.parametrize("asked_about", ["itself", "another", "nothing"])
def test_while_a_scan_is_read_blind_nobody_is_told_what_the_model_found(desk: Desk, asked_about: str) -> None:
    """Nor before it is asked about, or while another question comes first."""
    desk.handlers.policy = replace(desk.handlers.policy, blind_sample=1.0)
    piece_id, sha256 = desk.put_piece(state=PieceState.SCANNED)
    assert sha256 is not None
    if asked_about == "itself":
        desk.ask_operator(piece_id, sha256, blind=True)
        assert desk.get(f"/lanes/{LANE}")["request"]["score"] is None
    elif asked_about == "another":
        other_id, other = desk.put_piece(state=PieceState.SCANNED)
        assert other is not None
        desk.ask_operator(other_id, other, blind=True)
    assert desk.get(f"/scans/{sha256}?piece={piece_id}")["score"] is None
    assert desk.get(f"/pieces/{piece_id}")["scan"]["score"] is None
    assert desk.client.get(f"/api/v1/scans/{sha256}/heat.png?piece={piece_id}").status_code == 404
    assert desk.client.get(f"/api/v1/scans/{sha256}/view.png?piece={piece_id}").status_code == 200
    desk.write(lambda uow: uow.change_state(piece_id, PieceState.HELD, desk.clock.utc_now()))
    assert desk.get(f"/scans/{sha256}?piece={piece_id}")["score"] == 0.7
    assert desk.client.get(f"/api/v1/scans/{sha256}/heat.png?piece={piece_id}").status_code == 200


def test_the_operator_decides_once_on_the_scan_that_waits(desk: Desk) -> None:
    piece_id, sha256 = desk.put_piece(state=PieceState.SCANNED)
    assert sha256 is not None
    desk.ask_operator(piece_id, sha256)
    body = {"piece_id": piece_id, "visit": 1, "scan_sha256": sha256, "decision": "clear"}
    assert desk.post(f"/lanes/{LANE}/decision", body | {"scan_sha256": "0" * 64}).status_code == 409
    first = desk.post(f"/lanes/{LANE}/decision", body, key="one", person="binh")
    assert desk.post(f"/lanes/{LANE}/decision", body, key="one", person="binh").json() == first.json()
    assert desk.post(f"/lanes/{LANE}/decision", body, key="two").json()["code"] == "conflict"
    assert desk.lane.asked == [("decide", piece_id, 1, sha256, OperatorDecision.CLEAR, "binh")]


@pytest.mark.parametrize("cover", [{"secrecy": Secrecy.A}, {"announced": False}], ids=["marked", "unknown"])
def test_who_is_not_cleared_for_a_piece_sees_on_the_lane_that_something_lies_there(desk: Desk, cover: dict[str, Any]) -> None:
    piece_id, sha256 = desk.put_piece(state=PieceState.SCANNED, **cover)
    assert sha256 is not None
    desk.ask_operator(piece_id, sha256, **cover)
    below = {**desk.door.signed("below", clearance=Secrecy.B).headers, "Idempotency-Key": "k"}
    text = desk.client.get(f"/api/v1/lanes/{LANE}", headers=below).text
    for secret in (piece_id, sha256, "opaque-area"):
        assert secret not in text
    lane = json.loads(text)
    assert (lane["pieces"][0]["restricted"], lane["request"]["restricted"], lane["latest_restricted"]) == (True, True, True)
    body = {"piece_id": piece_id, "visit": 1, "scan_sha256": sha256, "decision": "clear"}
    assert desk.client.post(f"/api/v1/lanes/{LANE}/decision", json=body, headers=below).status_code == 404
    cleared = desk.get(f"/lanes/{LANE}")
    assert (cleared["pieces"][0]["restricted"], cleared["pieces"][0]["marked"], cleared["request"]["scan_sha256"]) == (False, True, sha256)
    if cover.get("announced", True):
        assert desk.post(f"/lanes/{LANE}/decision", body).json()["awaiting_second_person"] is False
    else:
        assert desk.post(f"/lanes/{LANE}/decision", body).json()["code"] == "level-unknown"


def test_health_and_metrics(desk: Desk) -> None:
    assert desk.client.get("/healthz").json() == {"status": "ok"}
    assert desk.client.get("/readyz").json() == {"ready": True, "store": True, "cause": None, "lanes": {LANE: "running"}}
    text = desk.client.get("/metrics").text
    assert f'kt1_lane_state{{lane="{LANE}",state="running"}} 1' in text
    assert 'kt1_outbox_events{what="waiting"} 0\nkt1_outbox_events{what="blocked"} 0' in text
    assert text.count("kt1_outbox_events{") == 2
    assert f'kt1_detector_garbage_bytes{{lane="{LANE}"}} 17' in text


def test_however_often_it_is_asked_whether_it_is_ready_it_writes_once_in_a_while(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    works: list[Any] = []
    write = desk.store.write
    monkeypatch.setattr(desk.store, "write", lambda work: (works.append(work), write(work))[1])
    monkeypatch.setattr("station.api.health.ANEW_AFTER_S", 600.0)
    assert {desk.client.get("/readyz").status_code for _ in range(5)} == {200}
    assert [work.__module__ for work in works].count("station.api.health") == 1


def test_the_description_names_every_resource(desk: Desk) -> None:
    paths = desk.client.get("/openapi.json").json()["paths"]
    for resource in ("pieces", "scans/{sha256}", "reviews", "lanes", "alarms", "events"):
        assert f"/api/v1/{resource}" in paths
    for path, methods in paths.items():
        for method, operation in methods.items():
            if method == "post":
                assert "idempotency-key" in {parameter["name"].lower() for parameter in operation["parameters"]}, path


def test_with_a_failing_store_the_station_is_not_ready_but_still_freezes_and_stops(desk: Desk) -> None:
    desk.store.close()
    assert desk.client.get("/healthz").status_code == 200
    answer = desk.client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert "closed" in answer.json()["cause"]
    answer = desk.post("/pieces", advice(desk.new_id()))
    assert (answer.status_code, answer.json()["code"]) == (503, "store-error")
    assert desk.post(f"/lanes/{LANE}/freeze").status_code == 200
    assert desk.post(f"/lanes/{LANE}/commands", {"command": "stop"}).status_code == 200


def test_without_room_on_the_disk_the_station_is_not_ready(tmp_path: Path) -> None:
    desk = Desk(tmp_path, floor_bytes=2**60)
    try:
        answer = desk.client.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert "space" in answer.json()["cause"]
    finally:
        desk.close()


def test_while_the_disk_hangs_the_station_is_not_ready_and_asks_it_nothing_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("station.api.health.PROBE_LIMIT_S", 0.1)
    works: list[Any] = []
    write = desk.store.write
    monkeypatch.setattr(desk.store, "write", lambda work: (works.append(work), write(work))[1])
    answers = threading.Event()
    hanging = desk.store.write(lambda _: answers.wait())
    try:
        for _ in range(3):
            answer = desk.client.get("/readyz", timeout=5.0)
            assert (answer.status_code, answer.json()["ready"], answer.json()["store"]) == (503, False, False)
            assert "has not answered" in answer.json()["cause"]
        # Other works than the probe's wait too: the API sweeps old claims in its own time.
        assert [work.__module__ for work in works].count("station.api.health") == 1
    finally:
        answers.set()
    hanging.result()
    monkeypatch.undo()
    assert desk.client.get("/readyz").json()["ready"] is True


def test_a_disk_that_hangs_when_asked_for_its_room_keeps_nobody_else_waiting(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("station.api.health.PROBE_LIMIT_S", 0.1)
    answers = threading.Event()
    monkeypatch.setattr(desk.store, "healthy", lambda: answers.wait(20.0))
    try:
        assert desk.client.get("/readyz", timeout=5.0).status_code == 503
        assert desk.client.get("/healthz", timeout=5.0).status_code == 200
    finally:
        answers.set()


def test_only_so_many_answers_are_read_at_once_and_a_lane_is_shown_meanwhile(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    read, goes_on, lock = desk.store.read, threading.Event(), threading.Lock()
    full = threading.Event()
    inside = most = 0

    def slow(query: Any) -> Any:
        nonlocal inside, most
        if "AnyIO" not in threading.current_thread().name:
            # Not an answer: who may come in is read every few seconds.
            return read(query)
        with lock:
            inside += 1
            most = max(most, inside)
            if inside == ANSWERS_AT_ONCE:
                full.set()
        goes_on.wait(20)
        with lock:
            inside -= 1
        return read(query)

    monkeypatch.setattr(desk.store, "read", slow)
    with ThreadPoolExecutor(3 * ANSWERS_AT_ONCE) as people:
        asked = [people.submit(desk.get, f"/lanes/{LANE}/freeze") for _ in range(3 * ANSWERS_AT_ONCE)]
        assert full.wait(20)
        assert desk.get(f"/lanes/{LANE}")["lane_id"] == LANE
        assert desk.client.get("/static/js/lane.js").status_code == 200
        assert desk.post(f"/lanes/{LANE}/freeze").status_code == 200
        goes_on.set()
        assert [one.result(20)["lane_id"] for one in asked] == [LANE] * len(asked)
    assert most == ANSWERS_AT_ONCE


def test_a_taken_port_is_a_clear_error(desk: Desk) -> None:
    with pytest.raises(AddressError, match=str(desk.server.port)) as told:
        ApiServer(desk.app(), feed=desk.feed, port=desk.server.port)
    # Not as a mistake in the configuration: whoever starts the station tries again.
    assert exit_code_of(told.value) == EXIT_UNREACHABLE


def test_junk_on_the_port_does_no_harm(desk: Desk) -> None:
    for junk in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\x00\xff", b"\x16\x03\x01junk\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", desk.server.port), timeout=5) as link:
            link.sendall(junk)
            link.recv(100)
    assert httpx.get(f"{desk.server.url}/healthz").status_code == 200


def test_hostile_requests_are_refused_and_never_fail_inside(desk: Desk) -> None:
    bodies = [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"piece_id": "\\ud800", "secrecy": null}',
        b'{"\\ud800": 1, "piece_id": "EE473124829VN", "secrecy": null}',
        b'{"piece_id": "EE473124829VN", "secrecy": "\\ud800"}',
        b'{"piece_id": "EE473124829VN", "secrecy": null, "destination": "\\ud800"}',
        b'{"piece_id": "EE473124829VN", "secrecy": null, "weight_g": NaN}',
        b'{"piece_id": "EE473124829VN", "secrecy": null, "weight_g": 1e999}',
        b'{"piece_id": {"a": []}, "secrecy": 1}',
    ]
    for number, body in enumerate(bodies):
        headers = {"Idempotency-Key": f"h{number}", "Content-Type": "application/json"}
        answer = desk.client.post("/api/v1/pieces", content=body, headers=headers)
        assert 400 <= answer.status_code < 500, (body[:60], answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    for path in (
        "/api/v1/pieces/%00",
        "/api/v1/pieces/%ED%A0%80",
        "/api/v1/pieces/" + "A" * 5000,
        "/api/v1/pieces/..%2F..%2Fetc",
        "/api/v1/pieces?limit=1e9",
        "/api/v1/pieces?after=%00",
        "/api/v1/pieces?after=%ED%A0%80",
        "/api/v1/pieces?state=burnt",
        "/api/v1/scans/xyz/view.png?piece=a",
        f"/api/v1/scans/{'0' * 64}?piece=%3Cscript%3E",
        "/api/v1/lanes/%3Cscript%3E",
        "/lane/%ED%A0%80",
    ):
        answer = desk.client.get(path)
        assert 400 <= answer.status_code < 500, (path, answer.text)
        assert "<script>" not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
