"""Everything that a barcode reader's wire can do to a code while it is sent: no piece leaves under a wrong name, or under none."""

import pytest

from station.domain.piece import PieceState
from station.domain.reasons import Reason
from tests.faults.wire_tap import LATE, SPOILED, Spoiled, spoiling
from tests.support.moody_model import CalmModel
from tests.support.virtual_lane import LANE_ID
from tests.support.virtual_scene import RECOVERY_S, Scene, play

INFEED, GATE = "wire:barcode_reader", "wire:gate_reader"
BEFORE_READER_MM = {INFEED: 250.0, GATE: 5300.0}
"""Where a piece's head is when its code is still to be read: 200 mm and 340 mm before the reader."""

PITCH_S = 4.0
"""From a piece to the next one behind it: 800 mm at 200 mm/s."""

SPOILED_CODES = (*SPOILED, ("corrupt_valid", {}))
"""A code has no check value but the check digit of its number, so `corrupt_valid` is a wrong digit, which that one shows."""

IN_TIME = {(INFEED, "duplicate"), (INFEED, "split"), (GATE, "duplicate"), (GATE, "split"), (GATE, "delay")}
"""What does no harm. At the infeed 1.5 s are too late; at the gate the piece stands and waits for its code."""

UNREADABLE, DIFFERS = frozenset({Reason.BARCODE_UNREADABLE}), frozenset({Reason.BARCODE_DIFFERS})
SILENT = frozenset({Reason.DEVICE_LOST})
"""A reader that cannot read says so: one that says nothing while a piece passes has failed, and the lane stops."""
WRONG_NUMBER = frozenset({Reason.BARCODE_MALFORMED, Reason.UNANNOUNCED})
HELD_FOR: dict[tuple[str, str], frozenset[Reason]] = {
    (INFEED, "drop"): SILENT,
    (INFEED, "mute"): SILENT,
    (INFEED, "delay"): SILENT,
    (INFEED, "corrupt"): WRONG_NUMBER | UNREADABLE,
    (INFEED, "corrupt_valid"): WRONG_NUMBER,
    (INFEED, "truncate"): SILENT,
    (INFEED, "noise"): WRONG_NUMBER | UNREADABLE,
    (INFEED, "previous"): frozenset({Reason.ID_NOT_NEW}),
    (GATE, "drop"): UNREADABLE,
    (GATE, "mute"): UNREADABLE,
    (GATE, "corrupt"): DIFFERS | UNREADABLE,
    (GATE, "corrupt_valid"): DIFFERS,
    (GATE, "truncate"): UNREADABLE,
    (GATE, "noise"): DIFFERS | UNREADABLE,
    (GATE, "previous"): DIFFERS,
    (GATE, "close"): frozenset({Reason.DEVICE_LOST}),
}
"""One of these; a link that closes under the infeed's reader stops the lane before the piece has any name."""


def names(scene: Scene) -> set[str]:
    """Every name that the lane has given to a piece, its own local ones too."""
    return {known.piece_id for known in scene.station.store.read(lambda view: view.pieces(lane_id=LANE_ID))}


async def read_spoiled(scene: Scene, wire: str, name: str, args: dict[str, float], *, answers: int = 1) -> Spoiled:
    """A piece passes the reader while its wire fails: it goes out by the gate only if its own code came in time; what was sent."""
    await scene.until_running()
    piece_id = await scene.feed()
    await scene.until_at(piece_id, BEFORE_READER_MM[wire], timeout_s=RECOVERY_S)
    stay, named_before = scene.stay(piece_id), names(scene) | {piece_id}
    with spoiling(scene, wire, name, answers=answers, **args) as tap:
        await scene.until(lambda: bool(tap.spoiled), timeout_s=20.0)
        await scene.until(lambda: stay.exit is not None)
    spoiled = tap.spoiled[0]
    assert piece_id.encode() in spoiled.said, "another piece's code was hit"
    if (wire, name) in IN_TIME:
        assert stay.exit == "gate", name
        assert names(scene) == named_before
    else:
        assert stay.exit != "gate", name
        assert PieceState.RELEASED not in scene.states(piece_id), name
        strangers = names(scene) - named_before
        if wire == INFEED:
            # It lies in a bin under a name that is not its own, and nobody has heard of itself yet.
            assert scene.states(piece_id) == [PieceState.ANNOUNCED], name
            assert len(strangers) == (name != "close"), name
        reasons = scene.reasons(piece_id).union(*(scene.reasons(stranger) for stranger in strangers))
        assert (wire, name) not in HELD_FOR or reasons & HELD_FOR[wire, name], (name, reasons)
    # Its code is read when people feed it in again: the lane has not been told wrongly for good.
    await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=RECOVERY_S)
    return spoiled


@pytest.mark.parametrize("wire", [INFEED, GATE])
def test_codes_that_come_late_or_never(wire: str):
    async def scene(scene: Scene) -> None:
        for name, args in LATE:
            await read_spoiled(scene, wire, name, args)

    play(scene, screening=CalmModel())


@pytest.mark.parametrize("wire", [INFEED, GATE])
def test_spoiled_codes(wire: str):
    async def scene(scene: Scene) -> None:
        # So that there is a previous code.
        await scene.until_state(await scene.feed(), PieceState.RELEASED)
        for name, args in SPOILED_CODES:
            spoiled = await read_spoiled(scene, wire, name, args)
            assert name != "corrupt_valid" or sum(one != two for one, two in zip(spoiled.said, spoiled.heard, strict=True)) == 1

    play(scene, screening=CalmModel())


@pytest.mark.parametrize("wire", [INFEED, GATE])
def test_a_silent_reader(wire: str):
    async def scene(scene: Scene) -> None:
        await read_spoiled(scene, wire, "mute", {}, answers=0)

    play(scene, screening=CalmModel())


@pytest.mark.parametrize("seed", range(1, 6))
def test_codes_that_come_one_piece_late_name_nobody(seed: int):
    """Each code is whole and a number of today's mail, and sizes and weights often fit; but the first piece passed in silence."""

    async def scene(scene: Scene) -> None:
        fed = [await scene.feed() for _ in range(3)]
        named_before = names(scene) | set(fed)
        with spoiling(scene, INFEED, "delay", answers=0, seconds=PITCH_S) as tap:
            await scene.until(lambda: bool(tap.spoiled), timeout_s=RECOVERY_S)
            await scene.until(lambda: scene.people.starts > 0, timeout_s=RECOVERY_S)
        assert all(scene.states(piece_id) == [PieceState.ANNOUNCED] for piece_id in fed)
        (stranger,) = names(scene) - named_before
        assert scene.reasons(stranger) >= SILENT
        for piece_id in fed:
            await scene.until_state(piece_id, PieceState.RELEASED, timeout_s=RECOVERY_S)

    play(scene, screening=CalmModel(), seed=seed)
