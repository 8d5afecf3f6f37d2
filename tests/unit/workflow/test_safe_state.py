"""What a lane that is made safe makes of each device's answer."""

from types import SimpleNamespace
from typing import Any

import pytest

from station.domain.errors import DeviceError, DeviceRefusedError, DeviceUnreachableError, RequestNotTakenError
from station.workflow.safe_state import make_safe


class Device:
    """Answers every request alike; `connects` is how it answers a new link, `then` the requests after it."""

    def __init__(self, answer: DeviceError | None = None, *, connects: DeviceError | None = None, then: DeviceError | None = None) -> None:
        self._answer, self._connects, self._then = answer, connects, then

    async def connect(self) -> None:
        if self._connects is not None:
            raise self._connects
        self._answer = self._then

    async def _asked(self, *_: object, **__: object) -> None:
        if self._answer is not None:
            raise self._answer

    request_beam = set_belts = set_diverter_1 = set_diverter_2 = set_stack_light = set_lamps = switch_off = stop = _asked


LOST, REFUSED, BUSY = DeviceUnreachableError("silent"), DeviceRefusedError("wrong state"), RequestNotTakenError("exception 6")


@pytest.mark.parametrize(
    ("plc", "lost"),
    [
        (Device(), []),
        (Device(REFUSED), []),
        (Device(LOST), []),
        (Device(LOST, then=REFUSED), []),
        (Device(LOST, then=LOST), ["lane_plc"]),
        (Device(LOST, connects=LOST), ["lane_plc"]),
        (Device(LOST, connects=REFUSED), ["lane_plc"]),
        (Device(BUSY), []),
        (Device(BUSY, then=BUSY), ["lane_plc"]),
    ],
)
@pytest.mark.parametrize("frozen", [False, True])
async def test_a_device_that_was_not_told_and_did_not_say_that_it_stands_is_lost(plc: Device, lost: list[str], frozen: bool):
    devices = SimpleNamespace(plc=plc, generator=Device(), unit=Device(), detector=Device())
    equipment: Any = SimpleNamespace(devices=devices)
    assert await make_safe(equipment, frozen=frozen) == lost
