"""The control socket's requests: mail, hands, faults, keys and scenes."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firmware_sims.control import Control, Scene
from firmware_sims.geometry import EYE_EXIT, ZONE_GATE
from firmware_sims.simulated_lane import STEP_S, SimulatedLane
from tests.unit.sims.rig import good


def test_bad_requests_change_nothing(lane: SimulatedLane):
    control = Control(lane)
    for request in (
        None,
        [],
        {},
        {"do": 3},
        {"do": "dance"},
        {"do": "feed"},
        {"do": "feed", "piece_id": "EE000000000VN"},
        {"do": "mail", "count": -1},
        {"do": "mail", "count": "many"},
        {"do": "fault", "device": "moon", "name": "x"},
        {"do": "fault", "device": "lane_plc", "name": "x"},
        {"do": "fault", "device": "wire:lane_plc", "name": "x"},
        {"do": "fault", "device": "world", "name": "diverter_jam", "args": {"colour": 1}},
        {"do": "fault", "device": "world", "name": "lift", "args": {"zone": 0, "colour": 1}},
        {"do": "fault", "device": "lane_plc", "name": "clock_jump", "args": {"seconds": 1}},
        {"do": "fault", "device": "disinfection_unit", "name": "sensor_dead", "args": {"factor": 1}},
        {"do": "fault", "device": "disinfection_unit", "name": "sensor_drift", "args": {"share": 1}},
        {"do": "fault", "device": "xray_generator", "name": "arc", "args": {"times": 1}},
        {"do": "fault", "device": "line_detector", "name": "clock_jump", "args": {"seconds": 1}},
        {"do": "fault", "device": "line_detector", "name": "lost_lines", "args": {"units": 1}},
        {"do": "fault", "device": "line_detector", "name": "noisy", "args": {"share": 1}},
        {"do": "fault", "device": "line_detector", "name": "stuck", "args": {"count": 1}},
        {"do": "fault", "device": "barcode_reader", "name": "silent", "args": {"text": "X"}},
        {"do": "fault", "device": "wire:lane_plc", "name": "drop", "args": {"seconds": 1}},
        {"do": "fault", "device": "wire:lane_plc", "name": "mute", "args": {"reads": 1}},
        {"do": "clear_fault", "device": "wire:lane_plc", "name": "mute", "args": {"count": 1}},
        {"do": "piece", "colour": "blue"},
        {"do": "piece", "kind": "elephant"},
        {"do": "clear_fault", "device": "line_detector", "name": "x"},
        {"do": "refeed", "piece_id": "x"},
    ):
        answer = control.handle(request)
        assert answer["ok"] is False
        assert answer["error"]
    assert lane.mail_room.pieces == {}


def test_covers_tell_no_truth(lane: SimulatedLane):
    control = Control(lane)
    covers = good(control, do="mail", count=10)["pieces"]
    assert len(covers) == 10
    assert set(covers[0]) == {
        "piece_id",
        "kind",
        "secrecy",
        "urgency",
        "destination",
        "sender_unit",
        "length_mm",
        "width_mm",
        "height_mm",
        "weight_g",
    }
    assert {cover["kind"] for cover in covers} <= {"envelope", "packet", "parcel"}
    truth = good(control, do="truth", piece_ids=[cover["piece_id"] for cover in covers])["pieces"]
    assert sum(one["truth"] == "threat" for one in truth) == 2
    assert json.dumps(truth)


def test_pieces_are_laid_on_a_running_belt_at_their_pitch(lane: SimulatedLane):
    control = Control(lane)
    good(control, do="mail", count=3)
    assert good(control, do="feed_all")["queued"] == 3
    for _ in range(100):
        lane.step()
    assert good(control, do="state")["pieces"] == []
    heads: list[float] = []
    for _ in range(1100):
        # The PLC would brake a belt that nobody asked to run; here the drive itself is set.
        for belt in range(5):
            lane.world.set_belt_speed(belt, 200.0)
        lane.mail_room.step()
        lane.world.step(0.01)
        loads = lane.world.loads
        heads += [one.head_mm - two.head_mm for one, two in itertools.pairwise(loads) if one.belt == two.belt == 0]
        if len(loads) == 3:
            break
    assert len(lane.world.loads) == 3
    assert min(heads) >= 795


def test_bins_refeed_and_away(lane: SimulatedLane):
    control = Control(lane)
    piece_id = good(control, do="piece", kind="envelope", threat="blade", secrecy="A")["piece"]["piece_id"]
    assert good(control, do="where", piece_id=piece_id)["place"] == "shelf"
    lane.world.put_in_bin("hold", lane.mail_room.known(piece_id))
    assert good(control, do="bins")["hold"] == [piece_id]
    assert good(control, do="refeed", piece_id=piece_id)["waiting"] == 1
    assert good(control, do="where", piece_id=piece_id)["place"] == "queue"
    assert control.handle({"do": "feed", "piece_id": piece_id})["ok"] is False
    lane.mail_room.queue.clear()
    lane.world.put_in_bin("return", lane.mail_room.known(piece_id))
    good(control, do="take_away", piece_id=piece_id)
    assert good(control, do="bins")["away"] == [piece_id]
    assert good(control, do="feed", piece_id=piece_id)["waiting"] == 1


def test_hands_lay_in_swap_and_lift(lane: SimulatedLane):
    control = Control(lane)
    first = good(control, do="fault", device="world", name="add", args={"zone": 2, "piece": {"kind": "packet"}})
    assert good(control, do="where", piece_id=first["piece_id"])["place"] == "lane"
    swapped = good(control, do="fault", device="world", name="swap", args={"zone": 2, "like": first["piece_id"], "stealth": True})
    assert swapped["taken_out"] == first["piece_id"]
    impostor, original = (lane.mail_room.known(one) for one in (swapped["piece_id"], first["piece_id"]))
    assert (impostor.barcode, impostor.length_mm, impostor.weight_g) == (original.barcode, original.length_mm, original.weight_g)
    assert impostor.truth == "threat"
    lifted = good(control, do="lift", zone=2)
    assert lifted["piece_id"] == swapped["piece_id"]
    assert good(control, do="bins")["hold"] == [swapped["piece_id"]]
    assert good(control, do="lift_from_gate")["piece_id"] is None


def test_hands_find_what_stands_half_out_in_the_exit(lane: SimulatedLane):
    """A short piece lies beyond the gate's zone there, and covers the exit eye: nothing starts until it is taken out."""
    control = Control(lane)
    short = replace(lane.mail_room.draw_one(kind="small_parcel"), length_mm=110.0)
    lane.world.add(short, ZONE_GATE, stealth=True, head_mm=6015.0)
    lane.world.step(STEP_S)
    assert lane.world.eyes() >> EYE_EXIT & 1
    assert lane.world.find(ZONE_GATE) is None
    assert good(control, do="lift_from_gate")["piece_id"] == short.piece_id
    assert good(control, do="bins")["hold"] == [short.piece_id]


def test_every_fault_that_is_listed_can_be_armed_and_cleared(lane: SimulatedLane):
    control = Control(lane)
    args: dict[str, dict[str, Any]] = {
        "diverter_jam": {"which": 1},
        "belt_jam": {"belt": 2},
        "eye_stuck": {"eye": 1, "blocked": True},
        "encoder_slip": {"belt": 1},
        "lamp_failure": {"lamp": 0},
        "access": {"zone": 1},
        "lift": {"zone": 0},
        "add": {"zone": 0},
        "swap": {"zone": 0},
        "radiation": {"nsv_h": 500},
        "scale_offset": {"grams": 20},
        "mode": {"mode": 2},
    }
    clear_args = {"diverter_jam": {"which": 1}, "belt_jam": {"belt": 2}, "eye_stuck": {"eye": 1}, "encoder_slip": {"belt": 1}}
    clear_args |= {"lamp_failure": {"lamp": 0}, "access": {"zone": 1}}
    listed = good(control, do="faults")["faults"]
    assert len(listed) == 14
    for device, names in listed.items():
        for name in names:
            extra = args.get(name, {}) if device == "world" else {}
            good(control, do="fault", device=device, name=name, args=extra)
            extra = clear_args.get(name, {}) if device == "world" else {}
            if device == "world" and name in {"lift", "add", "swap", "tailgate"}:
                continue
            good(control, do="clear_fault", device=device, name=name, args=extra)


def test_keys(lane: SimulatedLane):
    control = Control(lane)
    good(control, do="key_switch", on=True)
    assert good(control, do="state")["key_switch"] is True
    good(control, do="press_freeze_key")
    lane.step()
    assert good(control, do="state")["frozen"] is True
    good(control, do="stop")
    assert control.stopped.is_set()


def test_a_scene_does_its_requests_in_device_time(lane: SimulatedLane, tmp_path: Path):
    file = tmp_path / "scene.json"
    requests = [
        {"at_s": 0.5, "do": "feed_all"},
        {"at_s": 0.0, "do": "piece", "piece_id": "EE473124829VN", "kind": "envelope"},
        {"at_s": 0.7, "do": "nonsense"},
    ]
    file.write_text(json.dumps({"requests": requests}))
    scene = Scene(requests=Scene.read(file), lane=lane, control=Control(lane))
    for _ in range(40):
        lane.step()
    assert len(lane.mail_room.pieces) == 1
    assert not lane.mail_room.queue
    for _ in range(60):
        lane.step()
    assert len(lane.mail_room.queue) == 1
    assert [request["do"] for request, _ in scene.refused] == ["nonsense"]
    file.write_text("[]")
    with pytest.raises(ValueError, match="a scene is"):
        Scene.read(file)
