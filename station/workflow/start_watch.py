"""Looks at a lane that starts, and feeds its watchdogs only by looking: what nobody looks at must stop by itself."""

import asyncio
from collections.abc import Callable

from station.ports.disinfection_unit import UnitStatus
from station.ports.lane_plc import LaneStatus
from station.workflow.equipment import Equipment

BEAT_S = 0.2

_LaneDemand = Callable[[LaneStatus], None]
_UnitDemand = Callable[[UnitStatus], None]


class StartWatch:
    """Runs beside what prepares a lane, and ends by the first trouble that it sees, however long a step of the preparation takes.

    A unit counts as connected from the first demand that is made of it; each demand takes the place of the one before.
    """

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._over = asyncio.Event()
        self._lane: _LaneDemand | None = None
        self._unit: _UnitDemand | None = None

    def lane_must(self, demand: _LaneDemand) -> None:
        """Demand this of the PLC's status from now on; what the demand raises ends the watch."""
        self._lane = demand

    def unit_must(self, demand: _UnitDemand) -> None:
        """Demand this of the disinfection unit's status from now on."""
        self._unit = demand

    def end(self) -> None:
        """End after one more look. A watch is not cancelled: a request that is cut off would leave its link dirty."""
        self._over.set()

    async def run(self) -> None:
        """Look until the end.

        Raises:
            DeviceError: a unit is out of reach, or is not what it was.
            LaneTrouble, FreezeLatched: what the demand in force raises.
        """
        devices = self._equipment.devices
        while True:
            is_last = self._over.is_set()
            if self._lane is not None:
                # The demand of before the reading: one that comes meanwhile is about a later status.
                demand_lane = self._lane
                demand_lane(await devices.plc.read_status())
            if self._unit is not None:
                demand_unit = self._unit
                demand_unit(await devices.unit.read_status())
            if is_last:
                return
            await self._equipment.clock.sleep(BEAT_S)
