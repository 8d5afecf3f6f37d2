"""What stands in the program's own log, and what never does."""

import gc
import io
import json
import logging
import secrets
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from station.cli import logs
from station.cli.logs import LogQueue, configure_logs, log_defects
from station.masking import mask, mask_event
from tests.support.api_station import Desk

RANDOM = "q7Xw0dH2kZ-9sLrT_4vBnMy1cFgJeUaPiOoKtQxYz5s"
PHRASE = "bốn con mèo đen"
HIDDEN = "geheim123"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(file: Path) -> list[dict[str, Any]]:
    """Everything that was logged so far, once it is written."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogQueue):
            handler.close()
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    "text",
    [
        f"password={PHRASE}",
        f"password: {PHRASE}\n",
        f'{{"login": "lan", "password": "{PHRASE}"}}',
        f"{{'new_password': '{PHRASE}'}}",
        f"POST /x?password={PHRASE}&login=lan",
        f"Cookie: __Host-kt1-session={RANDOM}; other={PHRASE}",
        f"(b'cookie', b'__Host-kt1-session={RANDOM}; {PHRASE}')",
        f"Authorization: Bearer {RANDOM}",
        "Authorization: Basic " + f"{PHRASE}",
        f"bearer {HIDDEN}",
        f"https://lan:{HIDDEN}@centre.example/events",
        f"http://127.0.0.1:8080/welcome#{RANDOM}",
        f"the link {RANDOM} was not known",
        f"whsec_{HIDDEN}+/=",
        f"whsk_{HIDDEN}",
        f"X-CSRF-Token: {HIDDEN}",
        f"token_sha256={HIDDEN}, x",
        f"$argon2id$v=19$m=65536,t=3,p=4${HIDDEN}",
        f"-----BEGIN PRIVATE KEY-----\n{HIDDEN}\n-----END PRIVATE KEY-----",
        f"-----BEGIN EC PRIVATE KEY-----\n{HIDDEN}",
        f"KT1KEY1 2026-11-20-A-00000000 {HIDDEN}",
        f"[SQL: SELECT 1]\n[parameters: ('lan', '{HIDDEN}')]\n(Background",
        f"Input should be a number [type=int, input_value='{HIDDEN} {PHRASE}', input_type=str]",
        f"signing_key = {HIDDEN}",
        f"GET /x?link={RANDOM}",
        f"/welcome/{RANDOM}",
        f"__Host-kt1-browser={RANDOM}; a=b",
        f"next=%2Fwelcome%23{RANDOM}%20and",
        f"?token%3D{HIDDEN}",
        f"%22password%22%3A%20%22{HIDDEN}%22",
        repr(f"\n{RANDOM}\n".encode()),
        f'"{{\\"password\\": \\"{PHRASE}\\"}}"',
        f"http://lan:a@b/{HIDDEN}@centre.example/events",
        f"https%3A%2F%2Flan%3A{HIDDEN}%40centre.example",
        f"[parameters: ('x]\\n{HIDDEN}',)]\n(Background",
        f"%24argon2id%24v%3D19%24{HIDDEN}",
        f"whsec%5F{HIDDEN}",
    ],
)
def test_no_secret_is_left_in_a_text(text: str):
    shown = mask(text)
    assert [one for one in (RANDOM, PHRASE, "mèo", HIDDEN) if one in shown] == []
    assert mask(shown) == shown
    assert mask(text.encode("unicode_escape").decode()).count(HIDDEN) == 0


@pytest.mark.parametrize(
    "text",
    [
        "The disk has not answered for 5 s. Everything is held",
        "tracking.signing_key_file = keys/tracking-signing.key",
        "no signature of a known key: " + "ab" * 32,
        "/api/v1/pieces/EE473124829VN: 404",
        "site-1:EE473124829VN:3: receiver answers 503",
        'Traceback (most recent call last):\n  File "station/api/app.py", line 3, in the_quite_long_name_of_a_function_of_mine_',
    ],
)
def test_what_is_no_secret_stays(text: str):
    assert mask(text) == text


@pytest.mark.parametrize(
    "part", ["a", "-", "pass", "password", "token", "aB", "://a", "@", "[parameters: ", "password:'", "bearer ", "-----BEGIN A", " :"]
)
def test_no_text_keeps_the_lanes_waiting_while_it_is_masked(part: str):
    began_s = time.thread_time()
    mask(part * (20_000 // len(part)))
    # A pattern that tries each stretch again takes minutes for it.
    assert time.thread_time() - began_s < 3.0


def test_half_a_secret_at_the_end_of_a_long_text_is_cut_with_it():
    for kept in (1, 6, 42, 43):
        long = f"{'y' * (20_000 - kept - 1)} {RANDOM} and more"
        shown = mask_event({"event": long})["event"]
        assert shown.endswith("[cut]")
        assert RANDOM[:kept] not in shown


def test_names_decide_wherever_they_stand():
    found = mask_event(
        {
            "event": "asked",
            "password": PHRASE,
            "headers": [("Cookie", HIDDEN), (b"authorization", HIDDEN.encode()), ("Host", "a")],
            "body": {"inner": {"new_secret": HIDDEN, "count": 3}},
            "score": 0.93,
            "findings": ["blade"],
            "destination": "Văn phòng",
            "picture": b"\x00\x01",
            "error": ValueError(f"token={HIDDEN}"),
            f"password={HIDDEN}": 1,
            "audit_key_file": "keys/audit.key",
            "wiped": "a\x1b[2Jb",
        }
    )
    text = json.dumps(found, ensure_ascii=False)
    assert [one for one in (HIDDEN, PHRASE, "0.93", "blade", "Văn", "\\u001b") if one in text] == []
    assert found["headers"][2] == ["Host", "a"]
    assert found["body"] == {"inner": {"new_secret": "***", "count": 3}}
    assert (found["audit_key_file"], found["picture"]) == ("keys/audit.key", "<bytes>")


class _Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError(HIDDEN)

    __repr__ = __str__


def _fail() -> None:
    try:
        {}[f"password={HIDDEN}"]
    except KeyError as error:
        raise RuntimeError(f"Cookie: {HIDDEN}") from error


def test_station_and_libraries_write_the_same_masked_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # Without pytest's own ears, which fail over what cannot be formatted.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    file, terminal = tmp_path / "log" / "station.log", Terminal()
    configure_logs(file, stream=terminal, as_json=False)
    log_defects()
    log = structlog.get_logger("station.workflow.lane")
    log.info("lane command", lane="lane-1", password=HIDDEN, level="A", timestamp="never")
    try:
        _fail()
    except RuntimeError as error:
        log.exception("it failed", token=HIDDEN)
        logging.getLogger("uvicorn.error").exception("Exception in %s", f"Authorization: {HIDDEN}")
        sys.excepthook(type(error), error, error.__traceback__)
    logging.getLogger("pymodbus.logging").warning("token=%s", HIDDEN)
    logging.getLogger("httpx").info("HTTP Request: POST https://a/%s", HIDDEN)
    logging.getLogger("asyncio").error("%d", HIDDEN)
    log.warning("odd", thing=_Unspeakable(), error=_Unspeakable())
    logging.getLogger("asyncio").error("%s", _Unspeakable())
    thread = threading.Thread(target=_fail, name="lanes")
    thread.start()
    thread.join()

    written = lines(file)
    assert HIDDEN not in file.read_text() + terminal.getvalue()
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    first, failed, uvicorn, ended, modbus, wrong, odd, unspeakable, thread_ended = written
    assert (first["event"], first["level"], first["lane"]) == ("lane command", "info", "lane-1")
    assert first["timestamp"].endswith("Z")
    for one in (failed, uvicorn, ended, thread_ended):
        assert one["exception"].count("Traceback (most recent call last)") == 2
        assert "in _fail" in one["exception"]
    assert (uvicorn["logger"], modbus["event"]) == ("uvicorn.error", "token=***")
    assert wrong["event"] == unspeakable["event"] == "a line of the log could not be made"
    assert odd["thing"] == "<_Unspeakable>"
    assert "lane command" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


def test_no_text_makes_itself_a_line_of_its_own():
    terminal = Terminal()
    configure_logs(stream=terminal, as_json=False)
    forged = "x\n2026-11-21T08:00:00.000Z [critical] forged"
    logging.getLogger("uvicorn.error").warning("request failed: %s", forged)
    structlog.get_logger().error("it failed", detail=forged, exc_info=RuntimeError(forged))
    (queue,) = [one for one in logging.getLogger().handlers if isinstance(one, LogQueue)]
    queue.close()
    found = [line for line in terminal.getvalue().splitlines() if "forged" in line]
    assert len(found) == 3
    assert [line for line in found if not (line.startswith("    ") or "it failed" in line)] == []


class _Dying:
    def __del__(self) -> None:
        raise RuntimeError(f"password={HIDDEN}")


def test_what_fails_where_nobody_can_catch_it_is_masked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    configure_logs(tmp_path / "station.log")
    log_defects()
    _Dying()
    gc.collect()
    (line,) = lines(tmp_path / "station.log")
    assert "RuntimeError: password=***" in line["exception"]
    assert HIDDEN not in "".join(capfd.readouterr())


class _Stuck(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.there, self.go = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.there.set()
        self.go.wait(20)
        return super().write(text)


def test_a_journal_that_hangs_delays_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logs, "_MOST_WAITING", 3)
    stuck = _Stuck()
    configure_logs(stream=stuck)
    log = structlog.get_logger()
    log.warning("first")
    assert stuck.there.wait(20)
    for number in range(10):
        log.warning("more", number=number)
    stuck.go.set()
    (queue,) = [one for one in logging.getLogger().handlers if isinstance(one, LogQueue)]
    queue.queue.join()
    log.warning("last")
    queue.close()
    written = [json.loads(line) for line in stuck.getvalue().splitlines()]
    assert [one.get("number") for one in written] == [None, 0, 1, 2, None]
    assert written[-1]["lines_lost_before"] == 7


def test_a_log_that_cannot_be_kept_is_told_and_hinders_nothing(tmp_path: Path):
    (tmp_path / "log").write_text("in the way")
    stream = io.StringIO()
    configure_logs(tmp_path / "log" / "station.log", stream=stream)
    (queue,) = [one for one in logging.getLogger().handlers if isinstance(one, LogQueue)]
    queue.close()
    assert "cannot be kept" in json.loads(stream.getvalue())["event"]


def test_nothing_that_people_type_gets_into_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Wrong passwords, tokens, cookies and links, also where the station fails over them."""
    file = tmp_path / "station.log"
    configure_logs(file)
    typed = [secrets.token_urlsafe(32) for _ in range(5)] + ["mật khẩu của tôi là Lan1975"]
    desk = Desk(tmp_path / "desk")
    try:
        with desk.stranger() as client:
            _knock(client, typed)

            def fails(*_: Any, **__: Any) -> Any:
                raise RuntimeError(f"cannot look at password={typed[5]}: {typed[0]} {typed[1]}")

            monkeypatch.setattr(desk.door.access, "log_in", fails)
            answer = client.post("/api/v1/session", json={"login": "lan", "password": typed[5]})
            assert answer.status_code == 500
            assert typed[5] not in answer.text
    finally:
        desk.close()
    written = lines(file)
    assert any("request failed" in str(one["event"]) and "in fails" in one["exception"] for one in written)
    text = file.read_text(encoding="utf-8")
    assert [one for one in (*typed, "Lan1975") if one in text] == []


def _knock(client: httpx.Client, typed: list[str]) -> None:
    refused: list[Callable[[], httpx.Response]] = [
        lambda: client.post("/api/v1/session", json={"login": typed[5], "password": typed[0]}),
        lambda: client.post("/api/v1/session", json={"login": "an", "password": typed[5]}),
        lambda: client.post("/api/v1/session/link", json={"link": typed[1], "password": typed[5]}),
        lambda: client.get("/api/v1/pieces", headers={"Authorization": f"Bearer {typed[2]}"}),
        lambda: client.get("/api/v1/pieces", headers={"Cookie": f"__Host-kt1-session={typed[3]}"}),
        lambda: client.get(f"/api/v1/pieces/{typed[4]}", params={"token": typed[4]}),
        lambda: client.post("/api/v1/session", content=json.dumps({"login": 3, "password": typed[5]})[:-1]),
    ]
    assert [ask().status_code // 100 for ask in refused] == [4] * len(refused)
