"""Everything that a wire can do to an answer, on every wire whose device is asked or sends lines, while pieces are on the belts.

The readers' wires have their own scenes (`test_reader_wires`): there an answer is a piece's name.
"""

from collections.abc import Callable
from functools import partial

import pytest

from firmware_sims.faults import MBAP_BYTES, WRITES
from station.domain.piece import PieceState
from station.domain.reasons import Reason
from station.workflow.views import LaneCommand
from tests.faults.wire_tap import LATE, SPOILED, Spoiled, WireTap, spoiling
from tests.support.moody_model import CalmModel
from tests.support.scripted_people import OPERATOR
from tests.support.virtual_lane import LANE_ID
from tests.support.virtual_scene import RECOVERY_S, Scene, play

PLC, UNIT, GENERATOR = "wire:lane_plc", "wire:disinfection_unit", "wire:xray_generator"
COMMANDS, LINES = "wire:line_detector.command", "wire:line_detector.lines"
MODBUS = (PLC, UNIT)
WIRES = (*MODBUS, GENERATOR, COMMANDS, LINES)
WRONG = ("wrong_count", "wrong_function", "wrong_echo")

UNDER_WAY_MM, IN_BEAM_MM = 700.0, 1650.0
PLACES_MM = (700.0, 1650.0, 3000.0, 4200.0, 5500.0)
"""A piece's head at the infeed, in the beam, before the diverter, in the light and before the gate."""

READ_INPUT = 4
STATUS_BYTES = 2 * 67
"""The PLC's status is registers 0 to 66; its events are 110."""

ACTS_WITHIN_S = 20.0
SILENT_S = 20.0


async def bring_traffic(scene: Scene, wire: str) -> None:
    """The detector is given commands when a lane stops or starts, and asked but seldom in between; the other wires are never quiet."""
    if wire == COMMANDS:
        await scene.station.handlers.lane_command(LANE_ID, LaneCommand.STOP, person=OPERATOR, once=scene.station.once())


async def acted(scene: Scene, tap: WireTap) -> None:
    """Wait until the fault has changed as many answers as it is to change."""
    await scene.until(lambda: len(tap.spoiled) >= max(tap.answers, 1), timeout_s=ACTS_WITHIN_S)


async def hit(
    scene: Scene,
    wire: str,
    name: str,
    args: dict[str, float],
    *,
    answers: int = 1,
    at_mm: float | None = None,
    wanted: Callable[[bytes], bool] = lambda _: True,
) -> str:
    """A piece is under way, the wire fails, and whatever the lane makes of it, it runs again; the piece."""
    await scene.until_running()
    piece_id = await scene.feed()
    await scene.until_at(piece_id, at_mm or (IN_BEAM_MM if wire == LINES else UNDER_WAY_MM), timeout_s=RECOVERY_S)
    with spoiling(scene, wire, name, answers=answers, wanted=wanted, **args) as tap:
        await bring_traffic(scene, wire)
        await acted(scene, tap)
    # Long enough for whatever was late to come, and for the lane to notice.
    await scene.settle(3.0)
    await scene.until_running()
    return piece_id


async def all_leave(scene: Scene, pieces: list[str]) -> None:
    """They come to their end, whatever became of them, and a further one with them: people review them and feed them in again."""
    await scene.still_releases()
    for piece_id in pieces:
        await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=RECOVERY_S)


@pytest.mark.parametrize("wire", WIRES)
def test_answers_that_are_late_missing_or_spoiled_and_a_silent_wire(wire: str):
    async def scene(scene: Scene) -> None:
        scene.people.refeeds_pieces = False
        hits = [await hit(scene, wire, name, args) for name, args in (*LATE, *SPOILED)]
        hits.append(await meet_silence(scene, wire))
        scene.people.refeeds_pieces = True
        await all_leave(scene, hits)

    play(scene)


async def meet_silence(scene: Scene, wire: str) -> str:
    """A piece is under way, and for long nothing comes by the wire; the piece."""
    await scene.until_running()
    piece_id = await scene.feed()
    await scene.until_at(piece_id, 1300.0, timeout_s=RECOVERY_S)
    with spoiling(scene, wire, "mute", answers=0) as tap:
        await bring_traffic(scene, wire)
        await acted(scene, tap)
        await scene.settle(SILENT_S)
    await scene.until_running()
    return piece_id


@pytest.mark.parametrize("wire", MODBUS)
def test_wrong_answers_with_valid_checks(wire: str):
    """The last one is a wrong echo of a heartbeat."""

    async def scene(scene: Scene) -> None:
        for name in WRONG:
            starts = scene.people.starts
            await hit(scene, wire, name, {}, answers=2)
            assert scene.people.starts > starts, f"{name} went unnoticed"
        starts = scene.people.starts
        piece_id = await hit(scene, wire, "corrupt_valid", {}, wanted=lambda frame: pdu_of(wire, frame)[0] in WRITES)
        assert scene.people.starts > starts
        await all_leave(scene, [piece_id])

    play(scene)


def pdu_of(wire: str, frame: bytes) -> bytes:
    """The Modbus answer without what its carrier puts around it."""
    return frame[MBAP_BYTES:] if wire == PLC else frame[1:-2]


def is_block(wire: str, frame: bytes, *, at_least_bytes: int = 100, at_most_bytes: int = 250) -> bool:
    """True for a block of input registers that serves as evidence."""
    pdu = pdu_of(wire, frame)
    return pdu[0] == READ_INPUT and at_least_bytes <= pdu[1] <= at_most_bytes


EVIDENCE: dict[str, tuple[str, Callable[[bytes], bool]]] = {
    "the PLC's status": (PLC, partial(is_block, PLC, at_most_bytes=STATUS_BYTES)),
    "the PLC's events": (PLC, partial(is_block, PLC, at_least_bytes=STATUS_BYTES + 1)),
    "the unit's block": (UNIT, partial(is_block, UNIT)),
    "the generator's answers": (GENERATOR, lambda _: True),
}


@pytest.mark.parametrize("what", EVIDENCE)
def test_wrong_values_with_valid_checks(what: str):
    """One bit (of the generator: one digit) of what a device says is wrong and its check value fits, at each place of a piece's way.

    Some of it nobody can notice, and the next reading is right again: whatever it says, nothing unsafe comes of it.
    """
    wire, wanted = EVIDENCE[what]

    async def scene(scene: Scene) -> None:
        hits = [await hit(scene, wire, "corrupt_valid", {}, at_mm=at_mm, wanted=wanted) for at_mm in PLACES_MM]
        await all_leave(scene, hits)

    play(scene)


def test_wrong_pixels_with_a_valid_check():
    """Docs: residual risk. One pixel each of a few of the piece's lines is wrong: nothing tells, and the picture has a few specks."""

    async def scene(scene: Scene) -> None:
        starts = scene.people.starts
        piece_id = await hit(scene, LINES, "corrupt_valid", {}, answers=5)
        assert scene.people.starts == starts
        await scene.until_state(piece_id, PieceState.RELEASED, PieceState.HELD)
        assert not scene.reasons(piece_id) & {Reason.LINES_MISSING, Reason.SCAN_INCOMPLETE, Reason.DEVICE_LOST}
        await all_leave(scene, [piece_id])

    play(scene, screening=CalmModel())


async def answer_wrongly(scene: Scene, wanted: Callable[[bytes], bool]) -> tuple[int, Spoiled]:
    """The lane stops and starts, and the detector gives one wrong digit: how often people had to start it, and the answer."""
    await scene.until_running()
    starts = scene.people.starts
    with spoiling(scene, COMMANDS, "corrupt_valid", wanted=wanted) as tap:
        await bring_traffic(scene, COMMANDS)
        await acted(scene, tap)
    await scene.until_running()
    await scene.settle(3.0)
    assert scene.running
    return scene.people.starts - starts, tap.spoiled[0]


def test_wrong_digits_of_a_detector_that_are_proved():
    """What is asked twice or must be what was said before: a wrong digit ends the start, and the next one is right."""

    async def scene(scene: Scene) -> None:
        detector = scene.station.simulated.detector

        def starts_acquisition(frame: bytes) -> bool:
            return detector.acquisition is not None and frame == f"OK {detector.acquisition}\r\n".encode()

        pixels, exposure = f"OK {detector.pixels}\r\n".encode(), f"OK {detector.exposure_us}\r\n".encode()
        for wanted in (pixels.__eq__, exposure.__eq__, starts_acquisition):
            starts, _ = await answer_wrongly(scene, wanted)
            assert starts > 1

    play(scene)


@pytest.mark.parametrize(("answer", "of", "seed"), [(b"OK vendor=", b"pixel_pitch_um=", 3), (b"OK dark_counts=", b"full_scale=", 1)])
def test_wrong_digits_of_a_detector_that_nothing_proves(answer: bytes, of: bytes, seed: int):
    """Docs: residual risk. Commands have no check value; what the detector says once of itself is believed until the next start."""

    async def scene(scene: Scene) -> None:
        starts, spoiled = await answer_wrongly(scene, lambda frame: frame.startswith(answer))
        said, heard = ([word for word in text.split() if word.startswith(of)] for text in (spoiled.said, spoiled.heard))
        assert said != heard, f"another digit was hit: {spoiled.heard!r}"
        assert starts == 1
        await scene.until_state(await scene.feed(), PieceState.RELEASED)

    play(scene, screening=CalmModel(), seed=seed)
