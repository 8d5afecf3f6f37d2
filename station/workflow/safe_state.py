"""Makes a lane safe whatever has happened: everything that can be reached stops."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from station.domain.errors import DeviceError, DeviceRefusedError, RequestNotTakenError
from station.ports.lane_plc import STACK_RED
from station.workflow.equipment import Equipment

log = structlog.get_logger()

_Step = Callable[[], Awaitable[None]]


class _Connectable(Protocol):
    async def connect(self) -> object: ...


async def make_safe(equipment: Equipment, *, frozen: bool) -> list[str]:
    """Stop everything that can be reached: belts, beam, lamps, diverters to their bins. Never raises; says what did not answer.

    On a freeze belts and diverters are told nothing: a frozen piece is not moved. A link that was cut off in the middle of a request is
    opened again first, which stops the belts. A unit that cannot be reached does the same by itself when its watchdog runs out.
    """
    devices = equipment.devices
    plc = devices.plc

    async def drop_beam() -> None:
        await plc.request_beam(on=False)

    async def stand() -> None:
        await plc.set_belts((0, 0, 0, 0, 0))

    async def to_the_bins() -> None:
        await plc.set_diverter_1(through=False)
        await plc.set_diverter_2(through=False)

    async def red_light() -> None:
        await plc.set_stack_light(STACK_RED)

    async def lamps_off() -> None:
        await devices.unit.set_lamps(on=False)

    steps: dict[str, tuple[_Connectable, tuple[_Step, ...]]] = {
        "lane_plc": (plc, (drop_beam, red_light) if frozen else (drop_beam, stand, to_the_bins, red_light)),
        "xray_generator": (devices.generator, (devices.generator.switch_off,)),
        "disinfection_unit": (devices.unit, (lamps_off,)),
        "line_detector": (devices.detector, (devices.detector.stop,)),
    }
    # Beside one another: none of them waits for another one's slow link.
    told = await asyncio.gather(*(_tell(device, its_steps) for device, its_steps in steps.values()))
    return [name for name, done in zip(steps, told, strict=True) if not done]


async def _tell(device: _Connectable, steps: tuple[_Step, ...]) -> bool:
    """True when every step was done; the later ones are tried all the same."""
    return all([await _done(device, step) for step in steps])


async def _done(device: _Connectable, step: _Step) -> bool:
    """True when the device was told, or refuses because it stands already."""
    try:
        return await _told_or_stands(step) or (await _connected(device) and await _told_or_stands(step))
    except Exception:
        # Whatever is wrong with one device, the others must still be told.
        log.exception("a device could not be made safe")
        return False


async def _told_or_stands(step: _Step) -> bool:
    try:
        await step()
    except RequestNotTakenError:
        return False
    except DeviceRefusedError:
        return True
    except DeviceError:
        return False
    return True


async def _connected(device: _Connectable) -> bool:
    try:
        await device.connect()
    except DeviceError:
        return False
    return True


async def close_devices(equipment: Equipment) -> None:
    """Drop the links to all devices of a lane."""
    devices = equipment.devices
    for device in (devices.plc, devices.generator, devices.detector, devices.unit, devices.infeed_reader, devices.gate_reader):
        await device.close()
