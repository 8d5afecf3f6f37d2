"""`station run` when things around it are missing or wrong: it says so, holds what it must, and works again when they are back."""

import json
import tomllib
from contextlib import ExitStack
from pathlib import Path

import pytest

from station.settings import edit
from tests.e2e.kill_campaign import LANE_UP_S
from tests.e2e.killed_station import LANE, WORKING, KilledStation
from tests.e2e.programs import station, wait_until
from tests.e2e.relay import Plug
from tests.support.dangers import DANGERS
from tests.support.free_ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def plugged(rig: KilledStation, stack: ExitStack) -> tuple[Plug, Plug]:
    """Put a plug before the lane PLC and one before the tracking receiver; both are out."""
    lane, whole = rig.directory / "devices" / "lane-1.toml", rig.directory / "station.toml"
    plc = Plug(tomllib.loads(lane.read_text(encoding="utf-8"))["plc"]["endpoint"].removeprefix("tcp:"), free_port())
    receiver = Plug(rig.tracking.url.removeprefix("http://"), free_port())
    edit(lane, {"plc.endpoint": f"tcp:127.0.0.1:{plc.port}"})
    edit(whole, {"tracking.receiver": f"http://127.0.0.1:{receiver.port}"})
    for one in (plc, receiver):
        stack.callback(one.pull_out)
    return plc, receiver


def bad_devices(rig: KilledStation) -> dict[str, str]:
    lane = rig.station.get(f"/api/v1/lanes/{LANE}")
    return {device["name"]: device["detail"] for device in lane["devices"] if not device["ok"]}


def lane_state(rig: KilledStation) -> str:
    return str(rig.station.get(f"/api/v1/lanes/{LANE}")["state"])


def works(rig: KilledStation) -> bool:
    """Whether the lane runs. On a busy machine a device may answer too late and stop it: somebody presses START again."""
    state = lane_state(rig)
    if state in {"stopped", "offline"}:
        rig.station.post(f"/api/v1/lanes/{LANE}/commands", {"command": "start"})
    return state in WORKING


def lies_held(rig: KilledStation, pieces: tuple[str, ...]) -> bool:
    # Nobody decides about mail meanwhile.
    works(rig)
    return set(pieces) <= set(rig.hands.do("bins")["hold"])


def feed_odd_mail(rig: KilledStation) -> tuple[str, ...]:
    """A piece with a wrong check digit, one that cannot be read, one that nobody announced, and a good one that nobody decides about."""
    good = rig.hands.do("piece", kind="envelope")["piece"]["piece_id"]
    wrong = good[:10] + str((int(good[10]) + 1) % 10) + good[11:]
    odd = [
        rig.hands.do("piece", kind="packet", barcode=wrong)["piece"],
        rig.hands.do("piece", kind="envelope", unreadable=True)["piece"],
        rig.hands.do("piece", kind="envelope")["piece"],
        rig.hands.do("piece", kind="packet")["piece"],
    ]
    for cover in (odd[0], odd[1], odd[3]):
        assert rig.station.post("/api/v1/pieces", cover, person="tracking").is_success
    for cover in odd:
        rig.hands.do("feed", piece_id=cover["piece_id"])
    return tuple(cover["piece_id"] for cover in odd)


def test_what_is_missing_is_told_and_comes_back(tmp_path: Path):
    with ExitStack() as stack:
        rig = KilledStation.make(tmp_path, seed=30, stack=stack)
        plc, receiver = plugged(rig, stack)
        config = str(tmp_path / "station.toml")

        # No PLC, no receiver: the console is there and says what is out of reach.
        rig.start()
        wait_until(lambda: lane_state(rig) == "offline", what="the lane to be offline")
        assert "cannot be opened" in " ".join(bad_devices(rig).values())
        assert rig.station.post(f"/api/v1/lanes/{LANE}/commands", {"command": "start"}).is_success
        wait_until(lambda: lane_state(rig) == "offline", what="the lane to be offline again")
        advice = rig.hands.do("piece", kind="packet")["piece"]
        refused = rig.station.post("/api/v1/pieces", {**advice, "piece_id": "EE123456789VN"})
        assert refused.status_code == 422
        assert refused.json()["code"]
        doctor = station("doctor", "--json", "--config", config)
        assert doctor.returncode == 0
        assert any("in use by another station" in check["found"] for check in json.loads(doctor.stdout))

        # The PLC is plugged in, START is pressed, and the mail flows, though nobody hears of it.
        plc.plug_in()
        assert rig.station.post(f"/api/v1/lanes/{LANE}/commands", {"command": "start"}).is_success
        wait_until(lambda: works(rig), limit_s=LANE_UP_S, what="the lane to run")
        rig.test_piece_id = rig.hands.do("test_piece")["piece"]["piece_id"]
        odd = feed_odd_mail(rig)
        wait_until(lambda: lies_held(rig, odd), limit_s=120, what="the odd mail to lie in the hold bin")
        held = {piece["piece_id"]: piece["reasons"] for piece in rig.station.listed("/api/v1/pieces", state="held")}
        assert len(held) == 4
        reasons = {reason for found in held.values() for reason in found}
        assert {"barcode-malformed", "barcode-unreadable", "unannounced"} <= reasons
        assert station("tracking", "status", "--json", "--config", config).returncode == 0
        waiting = json.loads(station("tracking", "status", "--json", "--config", config).stdout)
        assert waiting["receipted"] == 0 < waiting["pending"]

        # A stored scan is damaged: its piece cannot be looked at, so it cannot be cleared, and nothing else breaks.
        with_scan = next(
            piece for piece in (rig.station.get(f"/api/v1/pieces/{piece_id}") for piece_id in held) if piece["scan"] is not None
        )
        sha256 = with_scan["scan"]["sha256"]
        files = [file for file in (tmp_path / "data" / "images").rglob("*") if file.is_file() and sha256 in file.name]
        assert files
        for file in files:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        picture = rig.station.fetch(f"/api/v1/scans/{sha256}/view.png", piece=with_scan["piece_id"])
        assert 400 <= picture.status_code < 600
        assert picture.headers["content-type"].startswith("application/problem+json")
        rig.until(lambda: rig.lane.get("state") in WORKING, limit_s=LANE_UP_S, what="the lane to go on")

        # The receiver comes back; the relay's back-off may last a minute, so work goes on meanwhile.
        receiver.plug_in()

        # The PLC goes away in the middle of work and comes back.
        rig.until(lambda: bool(rig.lane["pieces"]) and rig.lane["state"] in WORKING, limit_s=LANE_UP_S, what="pieces on the belts")
        plc.pull_out()
        wait_until(lambda: lane_state(rig) in {"offline", "stopped"}, limit_s=30, what="the lane to notice")
        plc.plug_in()
        before = rig.hands.do("world")["world"]["released"]
        rig.until(lambda: rig.hands.do("world")["world"]["released"] > before, limit_s=LANE_UP_S, what="a piece to be released")
        world = rig.hands.do("world")["world"]
        assert {name: world[name] for name in DANGERS if world[name]} == {}

        # Everything arrives once and in order.
        rig.check_tracking()
