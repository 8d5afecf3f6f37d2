"""The beam is asked for and taken back; hardware grants it."""

from station.workflow.equipment import Equipment

SET_POINT_SHARE = 0.02
POLL_S = 0.1
GRANT_POLLS = 20


def at_set_point(value: float, set_value: float) -> bool:
    """True when a monitor stands within the set point's band."""
    return abs(value - set_value) <= SET_POINT_SHARE * set_value


async def switch_beam_on(equipment: Equipment) -> None:
    """Request the beam of the hardware and switch high voltage on; the interlocks grant it or not."""
    await equipment.devices.plc.request_beam(on=True)
    settings = equipment.settings
    await equipment.devices.generator.set_point(kv=settings.kv, ma=settings.ma)
    for _ in range(GRANT_POLLS):
        status = await equipment.devices.plc.read_status()
        if status.beam_bits & 1:
            break
        await equipment.clock.sleep(POLL_S)
    await equipment.devices.generator.switch_on()


async def switch_beam_off(equipment: Equipment) -> None:
    """High voltage off, then drop the request."""
    await equipment.devices.generator.switch_off()
    await equipment.devices.plc.request_beam(on=False)
