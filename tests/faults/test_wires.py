"""Everything that a wire can do to an answer, on every wire, while pieces are on the belts."""

import pytest

from tests.support.virtual_scene import Scene, play

MODBUS = ("wire:lane_plc", "wire:disinfection_unit")
OTHERS = ("wire:xray_generator", "wire:line_detector.command", "wire:line_detector.lines", "wire:barcode_reader", "wire:gate_reader")
LATE = (("drop", {}), ("delay", {"seconds": 1.5}), ("close", {}))
SPOILED = (("duplicate", {}), ("split", {"seconds": 0.2}), ("corrupt", {}), ("truncate", {}), ("noise", {}), ("previous", {}))
WRONG = (("wrong_count", {"count": 2}), ("wrong_function", {}), ("wrong_echo", {"count": 2}))


async def hit(scene: Scene, wire: str, name: str, args: dict[str, float]) -> None:
    """A piece is under way, the wire fails, and whatever the lane makes of it, it runs again."""
    await scene.until_running()
    piece_id = await scene.feed()
    await scene.until_at(piece_id, 700.0)
    scene.station.fault(wire, name, **args)
    # Long enough for the piece to pass beam, light and gate, each with its own requests.
    await scene.settle(12.0)
    scene.station.clear_fault(wire, name)
    await scene.until_running()


@pytest.mark.parametrize("wire", [*MODBUS, *OTHERS])
def test_late_or_missing_answers(wire: str):
    async def scene(scene: Scene) -> None:
        for name, args in LATE:
            await hit(scene, wire, name, args)

    play(scene)


@pytest.mark.parametrize("wire", [*MODBUS, *OTHERS])
def test_spoiled_answers(wire: str):
    async def scene(scene: Scene) -> None:
        for name, args in SPOILED:
            await hit(scene, wire, name, args)

    play(scene)


@pytest.mark.parametrize("wire", MODBUS)
def test_wrong_answers_with_valid_checks(wire: str):
    async def scene(scene: Scene) -> None:
        for name, args in WRONG:
            await hit(scene, wire, name, args)
            assert scene.people.starts > 0, f"{name} went unnoticed"

    play(scene)


@pytest.mark.parametrize("wire", [*MODBUS, *OTHERS])
def test_a_silent_wire(wire: str):
    async def scene(scene: Scene) -> None:
        piece_id = await scene.feed()
        await scene.until_at(piece_id, 1300.0)
        scene.station.fault(wire, "mute")
        await scene.settle(20.0)
        scene.station.clear_fault(wire, "mute")
        await scene.until_running()

    play(scene)
